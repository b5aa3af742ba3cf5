"""`itp simulate`: a study in virtual time, with no database and no Prefect."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployments.cli.progress import progress_bar
from itp_events.errors import BadInput

if TYPE_CHECKING:
    from deployments.simulation.behaviour import Behaviour
    from deployments.simulation.study_run import Run
    from itp_events.protocol import Protocol

_EXISTING = click.Path(exists=True, path_type=Path)


@click.command("simulate", short_help="A study in virtual time: what would we receive?")
@click.option(
    "--subjects", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many are screened."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--protocol", type=_EXISTING, help="A protocol file. Default: ITP_PROTOCOL, else the built-in one."
)
@click.option("--behaviour", type=_EXISTING, help="A behaviour file; docs/simulation.md describes it.")
@click.option("--scenario", help="perfect, typical (default), holiday-season, unreliable or outage.")
@click.option("--start", help="The study's first day, as 2026-01-05. Default: that of the scenario.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, events.jsonl and notices.csv.",
)
@click.option(
    "--compare",
    type=_EXISTING,
    nargs=2,
    metavar="OLD NEW",
    help="The same subjects under two protocol files.",
)
@click.option("--check", is_flag=True, help="Check at every step what must always hold; says what does not.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="With --check: so many seeds, from --seed on.",
)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def command(**options: Any) -> None:
    """Let subjects pass through the study in virtual time, by the rules that run the service.

    A behaviour file says how people behave; everything else is what the service itself would do. Prints how
    many messages each audience gets in a week, and with --out writes the whole report.

    \b
    Examples:
      itp simulate --subjects 200 --scenario typical --out dry-run
      itp simulate --subjects 100 --compare old.yaml new.yaml --out amendment
      itp simulate --check --seeds 50 --subjects 20 --scenario unreliable
    """
    from deployments.settings import load_settings
    from itp_events.protocol_file import load_protocol

    behaviour = _behaviour(options["behaviour"], options["scenario"])
    start = _start(options["start"]) or behaviour.start
    if options["check"]:
        _check(load_protocol(options["protocol"] or load_settings().protocol), behaviour, start, options)
    elif options["compare"]:
        _compare(behaviour, start, options)
    else:
        _simulate(load_protocol(options["protocol"] or load_settings().protocol), behaviour, start, options)


def _behaviour(file: Path | None, scenario: str | None) -> Behaviour:
    from deployments.simulation.behaviour import load_behaviour

    if file and scenario:
        raise BadInput("give one of --behaviour and --scenario; a behaviour file may say `like: SCENARIO`")
    return load_behaviour(file or scenario or "typical")


def _start(text: str | None) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None  # noqa: DTZ007 - a date at the site
    except ValueError as error:
        raise BadInput(f"{text!r} must be a date, as 2026-01-05", "--start") from error


def _simulate(protocol: Protocol, behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.simulation.summary import summary

    run = _run(protocol, behaviour, start, options, "subjects")
    numbers = summary(run)
    if options["out"]:
        _write(options["out"], run, numbers)
    _show(numbers, options)


def _run(protocol: Protocol, behaviour: Behaviour, start: date, options: dict[str, Any], what: str) -> Run:
    from deployments.simulation.engine import Study
    from deployments.simulation.study_run import simulate

    study = Study(protocol, behaviour, options["seed"], start)
    with progress_bar(what, options["subjects"]) as progress:
        return simulate(study, options["subjects"], progress)


def _write(out: Path, run: Run, numbers: dict[str, Any], comparison: dict[str, Any] | None = None) -> None:
    from deployments.simulation.files import events_jsonl, notices_csv
    from deployments.simulation.report.page import report

    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(report(run, numbers, comparison), encoding="utf-8")
    (out / "events.jsonl").write_text(events_jsonl(run), encoding="utf-8")
    (out / "notices.csv").write_text(notices_csv(run), encoding="utf-8")


def _show(numbers: dict[str, Any], options: dict[str, Any]) -> None:
    from deployments.cli.tables import console, print_json
    from deployments.simulation.printing import print_summary

    if options["as_json"]:
        print_json(numbers)
        return
    out = console()
    print_summary(out, numbers)
    if options["out"]:
        out.print(f"The report: {options['out'] / 'report.html'}")


def _compare(behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.cli.tables import console, print_json
    from deployments.simulation.compare import compare, differences_csv
    from deployments.simulation.printing import print_comparison
    from deployments.simulation.summary import summary
    from itp_events.protocol_file import load_protocol

    runs = [_run(load_protocol(file), behaviour, start, options, str(file)) for file in options["compare"]]
    names = (str(options["compare"][0]), str(options["compare"][1]))
    found = compare(runs[0], runs[1], names)
    if options["out"]:
        _write(options["out"], runs[1], summary(runs[1]), found)
        (options["out"] / "differences.csv").write_text(differences_csv(found), encoding="utf-8")
    if options["as_json"]:
        print_json(found)
        return
    out = console()
    print_comparison(out, found)
    if options["out"]:
        out.print(f"The report: {options['out'] / 'report.html'}")


def _check(protocol: Protocol, behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.cli.tables import console, print_json
    from deployments.simulation.engine import Study
    from deployments.simulation.oracle import check
    from deployments.simulation.printing import print_checked

    seeds = range(options["seed"], options["seed"] + options["seeds"])
    with progress_bar("seeds", len(seeds)) as progress:
        found = check(
            [Study(protocol, behaviour, seed, start) for seed in seeds], options["subjects"], progress
        )
    if options["as_json"]:
        print_json(found.as_json())
    else:
        print_checked(console(), found)
    if found.violations:
        raise click.exceptions.Exit(1)
