"""`itp simulate`: a study in virtual time, with no database and no Prefect."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployments.cli.output.progress import progress_bar
from deployments.tables import ENCODING
from itp_events.errors import BadInput

if TYPE_CHECKING:
    from deployments.simulation.people.behaviour import Behaviour
    from deployments.simulation.study_run import Run
    from itp_events.protocol.model import Protocol

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
    help="With --check: so many seeds, from --seed on. Default: 1.",
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
    from deployments.bootstrap.settings import load_settings
    from itp_events.protocol.file import load_protocol

    _refuse_contradictions(options)
    behaviour = _behaviour(options["behaviour"], options["scenario"])
    start = _start(options["start"]) or behaviour.start
    _refuse_too_long(behaviour, start, options["subjects"])
    if options["check"]:
        _check(load_protocol(options["protocol"] or load_settings().protocols), behaviour, start, options)
    elif options["compare"]:
        _compare(behaviour, start, options)
    else:
        _simulate(load_protocol(options["protocol"] or load_settings().protocols), behaviour, start, options)


def _refuse_contradictions(options: dict[str, Any]) -> None:
    for name, other, why in (
        ("check", "compare", "a check looks at one protocol"),
        ("check", "out", "a check writes no report; --json has the log of what it found"),
        ("compare", "protocol", "--compare names both protocols"),
        ("behaviour", "scenario", "a behaviour file may say `like: SCENARIO`"),
    ):
        if options[name] and options[other]:
            raise BadInput(f"cannot go with --{name}: {why}", f"--{other}")
    if options["seeds"] and not options["check"]:
        raise BadInput("goes with --check only; --seed chooses the seed of a run", "--seeds")


def _folder(out: Path | None) -> None:
    """Make the folder before the study runs, not after."""
    try:
        if out:
            out.mkdir(parents=True, exist_ok=True)
            (out / "report.html").touch()
    except OSError as error:
        raise BadInput(f"cannot write into {out}: {error.strerror}", "--out") from error


def _behaviour(file: Path | None, scenario: str | None) -> Behaviour:
    from deployments.simulation.people.behaviour_file import load_behaviour

    return load_behaviour(file or ("typical" if scenario is None else scenario))


def _start(text: str | None) -> date | None:
    from deployments.simulation.people.behaviour import FIRST_DAY, LAST_DAY

    if text is None:
        return None
    try:
        start = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date at the site
    except ValueError as error:
        raise BadInput(f"{text!r} must be a date, as 2026-01-05", "--start") from error
    if not FIRST_DAY <= start <= LAST_DAY:
        raise BadInput(f"{text} must lie between {FIRST_DAY} and {LAST_DAY}", "--start")
    return start


def _refuse_too_long(behaviour: Behaviour, start: date, subjects: int) -> None:
    from deployments.simulation.people.behaviour import LAST_DAY

    per_week = behaviour.enrolment.per_week
    if subjects / per_week > (LAST_DAY - start).days / 7:
        raise BadInput(
            f"{subjects} subjects at {per_week:g} a week would be screened until after {LAST_DAY:%Y}; "
            "ask for fewer, or raise enrolment.per_week",
            "--subjects",
        )


def _simulate(protocol: Protocol, behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.simulation.summary import summary

    _folder(options["out"])
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

    (out / "report.html").write_text(report(run, numbers, comparison), encoding="utf-8")
    (out / "events.jsonl").write_text(events_jsonl(run), encoding="utf-8")
    (out / "notices.csv").write_text(notices_csv(run), encoding=ENCODING, newline="")


def _show(numbers: dict[str, Any], options: dict[str, Any]) -> None:
    from deployments.cli.output.simulation import print_summary
    from deployments.cli.output.tables import console, print_json

    if options["as_json"]:
        print_json(numbers)
        return
    out = console()
    print_summary(out, numbers)
    if options["out"]:
        out.print(f"The report: {options['out'] / 'report.html'}")


def _compare(behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.cli.output.simulation import print_comparison
    from deployments.cli.output.tables import console, print_json
    from deployments.simulation.compare import compare, differences_csv
    from deployments.simulation.summary import summary
    from itp_events.protocol.file import load_protocol

    protocols = [load_protocol(file) for file in options["compare"]]
    _folder(options["out"])
    names = (str(options["compare"][0]), str(options["compare"][1]))
    runs = [
        _run(protocol, behaviour, start, options, name)
        for protocol, name in zip(protocols, names, strict=True)
    ]
    found = compare(runs[0], runs[1], names)
    if options["out"]:
        _write(options["out"], runs[1], summary(runs[1]), found)
        (options["out"] / "differences.csv").write_text(differences_csv(found), encoding=ENCODING, newline="")
    if options["as_json"]:
        print_json(found)
        return
    out = console()
    print_comparison(out, found)
    if options["out"]:
        out.print(f"The report: {options['out'] / 'report.html'}")


def _check(protocol: Protocol, behaviour: Behaviour, start: date, options: dict[str, Any]) -> None:
    from deployments.cli.output.simulation import print_checked
    from deployments.cli.output.tables import console, print_json
    from deployments.simulation.engine import Study
    from deployments.simulation.invariants.oracle import check

    seeds = range(options["seed"], options["seed"] + (options["seeds"] or 1))
    with progress_bar("seeds", len(seeds)) as progress:
        found = check(
            [Study(protocol, behaviour, seed, start) for seed in seeds],
            options["subjects"],
            progress,
            os.cpu_count() or 1,
        )
    if options["as_json"]:
        print_json(found.as_json())
    else:
        print_checked(console(), found)
    if found.violations:
        raise click.exceptions.Exit(1)
