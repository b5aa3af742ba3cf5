"""The variables that settings are read from: the environment's, a file `.env`'s, and secrets kept in files.

Which settings there are, and what their values mean, is in settings.py.

A line of `.env` is `NAME=value`, with `export` before it or not. A value with spaces at its ends, quotes or
` #` in it stands in quotes. In double quotes a backslash precedes a double quote and a backslash that belong
to the value, and `\\n` is a line break; in single quotes it precedes a single quote and a backslash. What
follows ` #` outside quotes is a comment.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from itp_events.errors import BadInput

PREFIX = "ITP_"
_PREFECT = "PREFECT_API_URL"
_FILE = "_FILE"
# This one names a file already, which is read again whenever it changes.
_TOKENS = "ITP_API_TOKENS"
# Names of the contract that nothing here needs yet, and names that only the tests read.
_WITHOUT_EFFECT = re.compile("ITP_(API_WORKERS|TEST_.*)")
# Kubernetes and Docker set these in a container beside a service that is named itp.
_SERVICE_LINK = re.compile(
    r"ITP_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT_\d+_(TCP|UDP)(_\w+)?=.*|PORT=(tcp|udp)://.*)", re.DOTALL
)
# How like a setting's name, of 0 to 1, a name must be to be taken for a misspelling of it.
_ALIKE = 0.65
_CONCERNS_US = re.compile(rf"\s*(export\s+)?'?({PREFIX}|{_PREFECT})")
_LINE_BREAK = re.compile("\r\n|\r|\n")

log = logging.getLogger(__name__)


def read_variables(
    environ: Mapping[str, str], dotenv: Path, known: Collection[str], secrets: Collection[str]
) -> dict[str, str]:
    """The `known` variables that are set, by name; the environment wins over `dotenv`.

    `secrets` are those that a variable NAME_FILE may give as a file's content. A name that no setting has,
    and that is like none, is told in the log.

    Raises:
        BadInput: a name that is a setting's misspelt; a file that cannot be read; a secret that is set twice.
    """
    ours = {name: value for name, value in environ.items() if _is_ours(name)}
    variables = _from_files(_read_dotenv(dotenv) | ours, secrets)
    _check_names({name: value for name, value in variables.items() if name not in known}, known)
    return {name: variables[name] for name in known if name in variables}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) or name == _PREFECT


def _check_names(unknown: Mapping[str, str], known: Collection[str]) -> None:
    by_ending = {name.removeprefix(PREFIX): name for name in known}
    for name, value in sorted(unknown.items()):
        if _WITHOUT_EFFECT.fullmatch(name) or _SERVICE_LINK.fullmatch(f"{name}={value}"):
            continue
        alike = get_close_matches(name.removeprefix(PREFIX), by_ending, 1, _ALIKE)
        if alike:
            raise BadInput(f"there is no such setting; did you mean {by_ending[alike[0]]}?", name)
        log.warning("%s: there is no such setting, and it changes nothing; the README lists them", name)


def _from_files(variables: dict[str, str], secrets: Collection[str]) -> dict[str, str]:
    named = {name: variables.pop(f"{name}{_FILE}", "") for name in secrets}
    for name, path in named.items():
        if path and variables.get(name):
            raise BadInput(f"{name} is set as well: set one of the two", f"{name}{_FILE}")
        if path:
            variables[name] = path if name == _TOKENS else _secret(path, f"{name}{_FILE}")
    return variables


def _secret(path: str, variable: str) -> str:
    """The text of a file, without the line break at its end."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig").rstrip("\r\n")
    except OSError as problem:
        raise BadInput(f"the file cannot be read: {problem.strerror}", variable) from None
    except UnicodeDecodeError:
        raise BadInput("the file is no UTF-8 text", variable) from None


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = enumerate(_LINE_BREAK.split(_text(path)), 1)
    read = (_read_line(line, f"{path}, line {number}") for number, line in lines)
    return {each.key: each.value or "" for each in read if each and each.key and _is_ours(each.key)}


def _read_line(line: str, place: str) -> Binding | None:
    """The binding of a line; None for an empty line, and for an unreadable one of another program."""
    for binding in parse_stream(io.StringIO(line, newline="")):
        if not binding.error:
            return binding
        if _CONCERNS_US.match(line):
            raise BadInput('cannot be read; write NAME=value or NAME="value"', place)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"cannot be read as UTF-8 text: {problem}", str(path)) from problem
