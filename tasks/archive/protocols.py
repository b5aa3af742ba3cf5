"""The protocol files that are installed, as they go into an archive: byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from itp_events.errors import BadProtocol
from itp_events.protocol.file import load_protocol, protocol_files


@dataclass(frozen=True)
class Installed:
    """A protocol file: the protocol's id and version, the file's name, and its bytes."""

    id: str
    version: str
    name: str
    content: bytes

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self.content).hexdigest()


def installed_protocols(path: Path | None) -> list[Installed]:
    """The protocol files that a setting names; for None the built-in one.

    Raises:
        BadProtocol: one of them cannot be read, or is refused.
    """
    return [_installed(file) for file in protocol_files(path)]


def _installed(file: Path) -> Installed:
    protocol = load_protocol(file)
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise BadProtocol(f"cannot be read: {problem.strerror}", str(file)) from problem
    return Installed(protocol.id, protocol.version, file.name, content)


def versions(protocols: Iterable[Installed]) -> dict[str, Installed]:
    """The protocol files by their version."""
    return {each.version: each for each in protocols}
