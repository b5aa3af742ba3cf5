"""Sets up the logs: the service's own lines go to the standard error, Prefect's to a file."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from deployments.bootstrap.settings import LogFormat
from tasks.spans import current_subject, current_trace

# Prefect writes some lines at every wake, for years.
LOG_BYTES = 10_000_000
LOGS_KEPT = 3
# The loggers of our own lines; uvicorn's lines are about requests to our API.
ROOMS = ("deployments", "flows", "tasks", "itp_events", "uvicorn")
# An address alone may have 64,000 characters.
LONGEST = 500
TRACE_HEAD, TRACE_TAIL = 10, 30


class LeavingIsNoError(logging.Filter):
    """Prefect logs at ERROR that a run finished in any state but Completed; leaving to wait is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lower the level of that line to INFO; every record passes."""
        if record.levelno == logging.ERROR and "type=SCHEDULED" in record.getMessage():
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


class OneLine(logging.Formatter):
    """Writes each message as one line, so that no text in a request can forge a line of the log.

    A traceback follows with each of its lines marked, as it may end in text of a request.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, with the traceback as this formatter writes it, not another handler's."""
        record.exc_text = None
        try:
            return super().format(record)
        finally:
            record.exc_text = None

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with unprintable characters escaped, and cut where it is too long."""
        record.message = _bounded(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """The traceback's first and last lines."""
        lines = super().formatException(ei).splitlines()
        if len(lines) > TRACE_HEAD + TRACE_TAIL:
            left_out = f"... {len(lines) - TRACE_HEAD - TRACE_TAIL} lines ..."
            lines = [*lines[:TRACE_HEAD], left_out, *lines[-TRACE_TAIL:]]
        return "\n".join(f"  | {_bounded(line)}" for line in lines)


class OneObject(OneLine):
    """Writes each record as one JSON object on a line, for programs that collect logs.

    `at` is the instant in UTC, `part` the module that speaks. Where they are known, `subject` is a code and
    `trace` the id of a trace.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without line breaks, with the same bounds as a line of text."""
        said: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": record.name,
            "said": _bounded(record.getMessage()),
        }
        known = {"subject": current_subject(), "trace": current_trace()}
        said |= {name: value for name, value in known.items() if value}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


_form: LogFormat = "text"


def say_as(form: LogFormat) -> None:
    """Write what `say` says as text, or as records like the log's."""
    global _form
    _form = form


def say(line: str) -> None:
    """Say a line to the person who has started this process."""
    if _form == "json":
        record = logging.LogRecord("deployments", logging.INFO, __file__, 0, line, None, None)
        line = OneObject().format(record)
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - read by the person at the terminal


def _bounded(text: str) -> str:
    cut = f"{text[:LONGEST]}... ({len(text)} characters)" if len(text) > LONGEST else text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)


def set_up_logs(directory: Path, form: LogFormat = "text", *, with_prefect: bool = True) -> None:
    """Write our own lines to the standard error, and Prefect's to `prefect.log` in the directory.

    A process that runs no flows does not load Prefect for the second.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ours = logging.StreamHandler(sys.stderr)
    ours.setFormatter(OneObject() if form == "json" else OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
    for room in ROOMS:
        logger = logging.getLogger(room)
        logger.setLevel(logging.INFO)
        logger.addHandler(ours)
        logger.propagate = False
    if with_prefect:
        _redirect_prefect(directory / "prefect.log", form)


def _redirect_prefect(path: Path, form: LogFormat) -> None:
    import prefect.main  # noqa: F401 - sets up Prefect's logging, which is changed here

    theirs = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
    lines = OneLine("%(asctime)s %(levelname)s %(name)s %(message)s")
    theirs.setFormatter(OneObject() if form == "json" else lines)
    logging.getLogger().handlers = [theirs]
    logging.getLogger("prefect").handlers = []
    logging.getLogger("prefect.flow_runs").addFilter(LeavingIsNoError())
