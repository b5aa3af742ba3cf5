"""The command line `itp`. Each command is one module of `commands`, loaded when it is called for.

Exit codes: 0 done; 2 bad input, with its file, line and field (or the rule it breaks) on the standard
error; 1 anything else.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from deployments.bootstrap.data_dir import keep_private
from deployments.cli.errors import ended
from deployments.loading import loading
from itp_events.validation_messages import did_you_mean

# Name, module under deployments.cli.commands, and summary, so that `itp --help` loads none of the modules.
COMMANDS = {
    "up": ("up", "Run the whole service on this machine."),
    "plan": ("plan", "Print the plan that a file of events gives; needs no database and no service."),
    "record": ("record", "Record events in the running study, one or many."),
    "show": ("show", "Show one subject: every visit with the reasons of its dates, decisions, notices."),
    "subjects": ("subjects", "List all subjects with their states and next dates."),
    "agenda": ("agenda", "List overdue visits, open decisions, and the dates of the next days."),
    "screening": ("screening", "Print the screening log: the refused enrolments, and their unmet criteria."),
    "deviations": (
        "deviations",
        "List the deviations from the protocol with their importance and assessment.",
    ),
    "audit": ("audit", "List what a review looks at: corrections, late entries, decisions, sign-ins."),
    "sign": ("sign", "Sign what is recorded, or a review of the record, with a password."),
    "board": ("board", "Show the study's board: today's tasks, or a drawing of every subject's lane."),
    "timeline": ("timeline", "Draw one subject's windows, visits, notices and platelets."),
    "export": ("export", "Write the study's whole record as files: events, decisions, notices, SDTM tables."),
    "backup": ("backup", "Write the whole study into one file, while the service runs."),
    "restore": ("restore", "Bring the study of a backup into an empty database."),
    "move": ("move", "Move the study into another database, SQLite or PostgreSQL."),
    "verify": ("verify", "Check that every row of the record is what was recorded."),
    "protocol": ("protocol", "Show the schedule of activities; check a protocol file, or compare two."),
    "amendment": ("amend", "Preview another protocol version for all subjects, and move them to it."),
    "notify": ("notify", "Test the channels, and render the text of every notice."),
    "duty": ("duty", "Say who is on duty, who is away, and who stands in."),
    "account": ("account", "Add, list, change and disable the accounts of people and programs."),
    "token": ("token", "Make, list and revoke the tokens of accounts."),
    "api": ("api", "Serve the HTTP API alone, for a deployment in parts."),
    "round": ("round", "Run the loop that wakes, sends and repairs, alone, for a deployment in parts."),
    "worker": ("worker", "Take flow runs from Prefect's work pool, for a deployment on several machines."),
    "prefect": ("prefect", "Run Prefect's server alone, for a deployment in parts."),
    "redcap": ("redcap", "Catch up what was saved in REDCap while no service ran."),
    "leftovers": ("dead_letters", "List received messages that gave no event."),
    "simulate": ("simulate", "Run a study in virtual time, and count its messages."),
    "demo": ("demo", "Show a year in minutes: the real service with a fast clock."),
    "qualify": ("qualify", "Let the installed service check itself, end to end, beside the study."),
    "recipients": ("recipients", "Show the recipients of the study's notices."),
    "clock": ("clock", "Show the study's time; say which clock is right after a jump."),
    "doctor": ("doctor", "Check everything that the service needs, and say how to mend it."),
}


class Commands(click.Group):
    """The commands by name. An error in any of them ends in one line and the right exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{__name__}.commands.{COMMANDS[cmd_name][0]}"
        if name not in sys.modules:
            with loading():
                import_module(name)
        command: click.Command = sys.modules[name].command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; for an unknown one, an error that names the nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        return ended(ctx, lambda: super(Commands, self).invoke(ctx))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="itp-visits", prog_name="itp")
@click.option("--debug", is_flag=True, help="On an unexpected error print where it came from.")
def cli(debug: bool) -> None:
    """Carry the subjects of trial NCT06813157 from enrolment to month 12.

    \b
    Example:
      itp plan examples/enrol.json --as-of 2026-01-14
    """


def main() -> None:
    """Run `itp` with the arguments of the command line; the program's entry point."""
    keep_private()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a dagger shows a question mark instead.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    cli(prog_name="itp")
