"""Which source a run was made from: its commit, and a fingerprint of the files as they are."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from validation.traces import ROOT


def commit(root: Path = ROOT) -> str:
    """The commit that is checked out, marked where files differ from it; `none` outside a repository."""
    described = _git(root, "describe", "--always", "--dirty=, with changes", "--abbrev=40", "--exclude=*")
    return described.strip() or "none"


def fingerprint(root: Path = ROOT) -> str:
    """The SHA-256 over the names and bytes of all files that Git keeps or would keep."""
    names = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    digest = sha256()
    for name in sorted(set(filter(None, names))):
        path = root / name
        if path.is_file():
            digest.update(f"{name}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode == 0 else ""


if __name__ == "__main__":
    sys.stdout.write(f"{fingerprint()}\n")
