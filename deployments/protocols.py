"""Installing a protocol version: its file is put beside those of the other versions."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from itp_events.errors import BadProtocol, ItpError
from itp_events.protocol.beside import unfit
from itp_events.protocol.file import BUILT_IN, load_protocol


def installed(file: Path, folder: Path) -> str:
    """Install a protocol file into a folder of versions; what was done, in words.

    A folder that does not exist yet is made, with the built-in version in it. The file gets the name of its
    version, so that it sorts behind the others; a version that is installed already keeps its file.

    Raises:
        BadProtocol: the file is no protocol, or does not fit the versions beside it.
        ItpError: the folder cannot be written, or another file is installed under the same version.
    """
    new = load_protocol(file)
    try:
        content = file.read_bytes()
        folder.mkdir(parents=True, exist_ok=True)
        if not list(folder.glob("*.yaml")):
            _put(folder / BUILT_IN.name, BUILT_IN.read_bytes())
        for other in sorted(folder.glob("*.yaml")):
            if load_protocol(other).version == new.version:
                if other.read_bytes() == content:
                    return f"{new.id} version {new.version} is installed already, as {other}"
                raise ItpError(f"another file is version {new.version!r} already: {other}")
        others = [load_protocol(other) for other in sorted(folder.glob("*.yaml"))]
        if problem := unfit(new, others):
            raise BadProtocol(problem, str(file))
        last = max(path.name for path in folder.glob("*.yaml"))
        # "~" sorts behind every other sign of a name.
        name = file.name if file.name > last else f"{Path(last).stem}~{quote(new.version, safe='')}.yaml"
        _put(folder / name, content)
    except OSError as error:
        raise ItpError(f"{folder} cannot be written: {error.strerror}") from error
    since = f", in force from {new.effective_on}" if new.effective_on else ""
    return f"{new.id} version {new.version} is installed as {folder / name}{since}"


def _put(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, path)
