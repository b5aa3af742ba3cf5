"""The key that signs links: the setting's, or a random one that is kept in the data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from deployments.bootstrap.data_dir import writable
from itp_events.errors import BadInput, ItpError

FILE = "secret.key"
BYTES = 32


def signing_key(setting: str, data_dir: Path) -> bytes:
    """The key that `setting` gives; when it is empty, the kept one, which is made at first use.

    Raises:
        BadInput: ITP_SECRET_KEY is too short to be a secret.
        ItpError: the kept key cannot be read, or none can be made.
    """
    if not setting:
        return _kept(data_dir / FILE)
    if len(setting.encode()) < BYTES:
        raise BadInput(f"must have {BYTES} characters or more", "ITP_SECRET_KEY")
    return setting.encode()


def _kept(path: Path) -> bytes:
    draft = path.with_name(f"{FILE}.{os.getpid()}")
    if not path.exists():
        writable(path.parent)
        draft.touch(0o600)
        draft.write_bytes(secrets.token_bytes(BYTES))
        _first(draft, path)
    try:
        return path.read_bytes()
    except OSError as problem:
        raise ItpError(
            f"{path} cannot be read ({problem.strerror}): run this as the user who runs the service"
        ) from problem


def _first(draft: Path, path: Path) -> None:
    """Put the draft in place, unless another process was faster; then its key counts."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
