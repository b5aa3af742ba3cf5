"""`itp qualify`: the installed service checks itself end to end, beside the study."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployments.bootstrap.settings import load_settings
from deployments.cli.errors import FAILED
from deployments.cli.output.tables import SafeConsole, coloured, print_json
from itp_events.errors import BadInput

if TYPE_CHECKING:
    from deployments.qualification.document import Run
    from deployments.qualification.steps import Result


@click.command("qualify", short_help="Let the installed service check itself, end to end.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty folder, kept afterwards. Default: a temporary one, removed at the end.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results as a page to be signed by hand; a file that is there is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: passed, and each step.")
def command(folder: Path | None, report: Path | None, as_json: bool) -> None:
    """Qualify this installation: start the installed service on an empty study of its own, and use it.

    It has a database, recipients and a clock of its own, so the study is not touched, and may run meanwhile.
    Of the settings only ITP_PROTOCOL counts. Installation, operation and performance are checked in
    some twenty steps; the report says of each what was done and found. Exit code 1 when one did not pass.

    \b
    Examples:
      itp qualify
      itp qualify --report qualification.html
    """
    protocol = load_settings().protocols
    if report is not None and not report.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {report.absolute().parent}", "--report")
    if folder is not None:
        run = _run(folder, protocol, as_json)
    else:
        with tempfile.TemporaryDirectory(prefix="itp-qualification-") as temporary:
            run = _run(Path(temporary), protocol, as_json)
    _tell(run, report, as_json)
    if not run.passed:
        raise click.exceptions.Exit(FAILED)


def _run(folder: Path, protocol: Path | None, as_json: bool) -> Run:
    from deployments.qualification.qualify import qualify

    out = SafeConsole()
    return qualify(folder, protocol, (lambda _: None) if as_json else lambda result: _step(out, result))


def _step(out: SafeConsole, result: Result) -> None:
    step = result.step
    head = coloured(result.outcome, f"  {step.id}  {step.title} ({result.seconds:.0f} s)")
    out.print(head, soft_wrap=True)
    for line in result.did:
        out.print(f"          {line}", style="dim", soft_wrap=True)
    if result.error:
        out.print(f"          {result.error}", soft_wrap=True)


def _tell(run: Run, report: Path | None, as_json: bool) -> None:
    from deployments.qualification.document import document, page

    if report is not None:
        report.write_text(page(run), encoding="utf-8")
    shown = document(run)
    if as_json:
        print_json(shown)
        return
    counts = ", ".join(f"{number} {outcome}" for outcome, number in shown["counts"].items())
    click.echo(f"{'Qualified' if run.passed else 'NOT qualified'}: {counts}. {run.protocol}")
    if report is not None:
        click.echo(f"To be read and signed: {report}")
