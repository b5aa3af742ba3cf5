"""Writes docs/providers.md from the table: python -m tests.support.providers_page."""

import sys
from pathlib import Path

from apprise.manager_plugins import NotificationManager

from tasks.delivery.answers import Check, Filled, Lacks, Not, Says, Silent, Text
from tasks.delivery.providers import PROVIDERS, Provider

PAGE = Path(__file__).parents[2] / "docs/providers.md"
HEAD = """# Providers

Each plugin of Apprise, as this service treats it. `tasks/delivery/providers.py` holds the table, and
`python -m tests.support.providers_page` writes this page from it; a test fails when a plugin is missing.

- **Recipients**: what a URL lists that gets a delivery of its own. *one* means that a URL reaches one person,
  group, device or machine, with one message.
- **Not told apart**: what is refused, since several people would share one message. **Mentioned**: people,
  tags or labels that a message only names.
- **Delivered when**: what the body of an answer must say where HTTP 200 alone says too little. *HTTP
  status*: the status tells; an answer that speaks of a failure all the same leaves the outcome unknown.
  *Apprise says so*: it is not sent over HTTP.

| Plugin | Recipients | Not told apart, mentioned | Delivered when | Source |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The page, from the table."""
    manager = NotificationManager()  # type: ignore[no-untyped-call]
    manager.load_modules()  # type: ignore[no-untyped-call]
    modules = {each.__module__ for each in manager.plugins()}  # type: ignore[no-untyped-call]
    over_http = {name.split(".")[2] for name in modules if hasattr(sys.modules[name], "requests")}
    return HEAD + "".join(_row(name, PROVIDERS[name], name in over_http) for name in sorted(PROVIDERS))


def _row(name: str, row: Provider, over_http: bool) -> str:
    people = ", ".join(_plain(each) for each in row.people) or "one"
    if row.only:
        people += f" ({row.only[0]} {row.only[1]})"
    if row.people and row.together:
        people += f"; {', '.join(row.together)} as one"
    apart = [f"{', '.join(map(_plain, row.crowds))}: refused"] if row.crowds else []
    apart += [f"{', '.join(map(_plain, row.named))}: mentioned"] if row.named else []
    told = "; ".join(", ".join(map(_said, answer.checks)) for answer in row.answers)
    told = told or ("HTTP status" if over_http else "Apprise says so")
    return f"| {name} | {people} | {'; '.join(apart)} | {told} | {_cell(row.source)} |\n"


def _said(check: Check) -> str:
    match check:
        case Says(path, ok):
            return f"{_code(path or 'the body')} is {' or '.join(_code(str(each)) for each in ok)}"
        case Not(path, bad):
            return f"{_code(path)} is not {' or '.join(_code(str(each)) for each in bad)}"
        case Silent(path):
            return f"{_code(path)} is empty"
        case Filled(path):
            return f"{_code(path)} is not empty"
        case Text(ok):
            return f"the body begins with {_code(ok)}"
        case Lacks(pattern):
            return f"the body has no {_code(pattern)}"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(name: str) -> str:
    return name.rpartition(".")[2].strip("_").replace("_", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
