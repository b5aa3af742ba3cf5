"""Reads passwords as commands are given them: from a file, the standard input or the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from itp_events.errors import BadInput

PASSWORD_FILE = click.option(
    "--password-file", type=click.Path(path_type=Path), help="A file that holds the password; - is the input."
)
SECOND_FACTOR = click.option(
    "--second-factor", default="", help="The authenticator's code, where one is set up."
)


def given_password(file: Path | None, *, new: bool = False) -> str:
    """The password of a file or of the standard input; on a terminal it is asked for, a new one twice."""
    if file is None and sys.stdin.isatty():
        said: str = click.prompt("Password", hide_input=True, confirmation_prompt=new, err=True)
        return said
    if file is None or str(file) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as problem:
        raise BadInput(f"{file} cannot be read", "--password-file") from problem
