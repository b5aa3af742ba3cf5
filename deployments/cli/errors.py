"""Turns the errors of a command into one line on the standard error and an exit code."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from deployments.cli.output.harmless import one_line
from itp_events.errors import BadInput, ItpError

BAD_INPUT = 2
FAILED = 1


def ended(ctx: click.Context, run: Callable[[], object]) -> object:
    """Run a command; its error becomes one line on the standard error and an exit code."""
    try:
        return run()
    except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
        raise
    except BadInput as error:
        say(str(error))
        ctx.exit(BAD_INPUT)
    except (ItpError, OSError) as error:
        say(str(error))
        ctx.exit(FAILED)
    except Exception as error:
        if ctx.params.get("debug"):
            raise
        if (silence := _database_silence(error)) is not None:
            say(f"the study's database does not answer: {silence}; try again, nothing counts twice")
            ctx.exit(FAILED)
        say(f"unexpected {type(error).__name__}: {_first_line(error)}; details are in {_kept(error)}")
        ctx.exit(FAILED)


def _database_silence(error: Exception) -> str | None:
    """The line for a database that does not answer; None for any other error."""
    if "sqlalchemy" not in sys.modules:
        return None
    from tasks.database.store import NO_ANSWER, first_line

    return first_line(error) if isinstance(error, NO_ANSWER) else None


def say(line: str) -> None:
    """Print one line on the standard error; text of others cannot make it two."""
    click.echo(one_line(line), err=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or "no message"


def _kept(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="itp-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exception(error, file=log)
    return Path(log.name)
