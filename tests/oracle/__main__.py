"""`python -m tests.oracle`: two implementations of the rules, over random histories."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from tests.oracle.compare import FIELDS, Difference, differences, shrunk
from tests.oracle.histories import case


@click.command()
@click.option("--histories", default=4000, show_default=True, help="How many histories.")
@click.option("--seed", default=1, show_default=True, help="The seed of the first.")
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--show", default=5, show_default=True, help="How many disagreements to print, shrunk.")
@click.option("--only", multiple=True, type=click.Choice(FIELDS), help="Compare these fields alone.")
@click.option("--out", type=click.Path(path_type=Path), help="Write each history that disagrees there.")
def main(histories: int, seed: int, workers: int, show: int, only: tuple[str, ...], out: Path | None) -> None:
    """Compare the two implementations over random histories; exit code 1 when they disagree."""
    began = time.monotonic()
    fields = only or FIELDS
    found = dict(_disagreements(range(seed, seed + histories), workers, fields))
    took = time.monotonic() - began
    for number in sorted(found)[:show]:
        _print(number, fields)
    if out:
        _write(out, sorted(found), fields)
    kinds = Counter(name for names in found.values() for name in names)
    for name, count in kinds.most_common():
        click.echo(f"{count:6} {name}")
    click.echo(f"{histories - len(found)} of {histories} histories agree ({took:.0f} s)")
    sys.exit(1 if found else 0)


def _disagreements(seeds: range, workers: int, fields: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    with ProcessPoolExecutor(workers) as pool:
        outcomes = pool.map(_names, seeds, [fields] * len(seeds), chunksize=20)
        for done, (number, names) in enumerate(zip(seeds, outcomes, strict=True), 1):
            if names:
                yield number, names
            if done % 100 == 0:
                click.echo(f"\r{done} of {len(seeds)}", nl=False, err=True)
    click.echo("", err=True)


def _names(seed: int, fields: tuple[str, ...]) -> list[str]:
    return sorted({_kind(each) for each in _differences(seed, fields)})


def _differences(seed: int, fields: tuple[str, ...]) -> list[Difference]:
    try:
        return differences(case(seed), fields)
    except Exception as error:  # noqa: BLE001 - a crash of either side is a disagreement too
        return [Difference(f"crash {type(error).__name__}", str(error), None)]


def _kind(difference: Difference) -> str:
    parts = difference.field.split(".")
    return parts[0] if len(parts) == 1 else f"{parts[0]}.{parts[-1]}"


def _print(number: int, fields: tuple[str, ...]) -> None:
    click.echo(f"--- history {number}")
    try:
        small = shrunk(case(number), fields)
        found = differences(small, fields)
    except Exception as error:  # noqa: BLE001 - as above
        click.echo(f"  {type(error).__name__}: {error}")
        return
    for event in small.events:
        data = {key: value for key, value in event["data"].items() if key not in ("by", "screening")}
        click.echo(f"  {event['id']} {event['time']} {event['type']} {json.dumps(data)}")
    click.echo(f"  as of {small.as_of.isoformat()}")
    for each in found:
        click.echo(f"  {each}")


def _write(out: Path, numbers: list[int], fields: tuple[str, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        small = shrunk(case(number), fields)
        (out / f"{number}.json").write_text(json.dumps(small.events, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
