"""A file that is there whole or not at all: written beside its place, brought to the disk, put in place.

A killed writer leaves a draft behind, whose name begins with a dot; the next writer of the same file removes
it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from itp_events.errors import BadInput

_PRIVATE = 0o600
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
FIELD = "FILE"


@dataclass(frozen=True)
class Draft:
    """A file that is being written, and the place where it lies meanwhile."""

    file: BinaryIO
    path: Path

    def to_disk(self) -> None:
        """Bring all that is written to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def whole_file(path: Path, *, replace: bool = False) -> Iterator[Draft]:
    """A draft that takes the place of `path` when the block ends, and is dropped when it raises.

    Raises:
        BadInput: the file is there already (unless `replace`), is a symbolic link, or cannot be made.
    """
    refuse_place(path, replace=replace)
    draft = _begin(path)
    try:
        with draft.file:
            yield draft
            draft.to_disk()
            _put_in_place(draft.path, path, replace)
    finally:
        draft.path.unlink(missing_ok=True)
    _folder_to_disk(path.absolute().parent)


def refuse_place(path: Path, *, replace: bool) -> None:
    """Raise BadInput when a file may not be written at `path`."""
    if path.is_symlink():
        raise BadInput(f"{path} is a symbolic link; name the file itself", FIELD)
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no file; name another", FIELD)
    if path.exists() and not replace:
        raise BadInput(f"{path} is there already; name another, or replace it with --force", FIELD)


def _begin(path: Path) -> Draft:
    folder = path.absolute().parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(folder, _literally(path.name))
        draft = folder / f".{path.name}.{secrets.token_hex(4)}.part"
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    except OSError as problem:
        raise BadInput(f"{path} cannot be made: {problem.strerror}", FIELD) from problem
    fcntl.flock(handle, fcntl.LOCK_EX)
    return Draft(os.fdopen(handle, "w+b"), draft)


def remove_abandoned(folder: Path, names: str) -> None:
    """Remove the drafts whose writers have ended, of the files whose names match a pattern of `Path.glob`."""
    for draft in folder.glob(f".{names}.????????.part"):
        with suppress(OSError):
            handle = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()
            finally:
                os.close(handle)


def _literally(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _put_in_place(draft: Path, path: Path, replace: bool) -> None:
    if replace:
        draft.replace(path)
        return
    try:
        # Unlike a rename, a link never takes the place of a file that came meanwhile.
        os.link(draft, path)
    except FileExistsError:
        raise BadInput(f"{path} came meanwhile; name another file", FIELD) from None
    except OSError as problem:
        if problem.errno not in _NO_LINKS:
            raise
        refuse_place(path, replace=False)
        draft.rename(path)


def _folder_to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # a file system that keeps folders in its own way
            raise
    finally:
        os.close(handle)
