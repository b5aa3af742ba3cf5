"""Prints the licences of what a CycloneDX document lists, as a table: `licences.py itp-visits.cdx.json`."""

import json
import sys
from pathlib import Path
from typing import Any


def licences(component: dict[str, Any]) -> str:
    """What a component may be used under, in the document's words."""
    stated = (
        each.get("expression") or _named(each.get("license", {})) for each in component.get("licenses", [])
    )
    return "; ".join(dict.fromkeys(filter(None, stated))) or "not stated"


def _named(licence: dict[str, Any]) -> str:
    return str(licence.get("id") or licence.get("name") or "").partition("\n")[0]


def main(document: Path) -> None:
    """Print one line for each component, in the order of their names."""
    components = json.loads(document.read_text(encoding="utf-8"))["components"]
    print("| package | version | licence |\n| --- | --- | --- |")  # noqa: T201 - this is its output
    for each in sorted(components, key=lambda component: component["name"].lower()):
        print(f"| {each['name']} | {each.get('version', '')} | {licences(each)} |")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
