"""What the service says: concise lines for people; Prefect's own lines go to a file."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

# Prefect writes some lines at every wake, for years.
LOG_BYTES = 10_000_000
LOGS_KEPT = 3
ROOMS = ("deployments", "flows", "tasks", "itp_events")


class LeavingIsNoError(logging.Filter):
    """Prefect logs at ERROR that a run finished in any state but Completed; leaving to wait is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lower that one line, and let every record pass."""
        if record.levelno == logging.ERROR and "type=SCHEDULED" in record.getMessage():
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


class OneLine(logging.Formatter):
    """One line for each message, whatever somebody put into a request: nobody forges lines of the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with what is not printable written as an escape; a traceback follows as it is."""
        written = (each if each.isprintable() else ascii(each)[1:-1] for each in record.message)
        record.message = "".join(written)
        return super().formatMessage(record)


def set_up_logs(directory: Path) -> None:
    """Our own lines to the standard error, Prefect's to `prefect.log` in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    ours = logging.StreamHandler(sys.stderr)
    ours.setFormatter(OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
    for room in ROOMS:
        logger = logging.getLogger(room)
        logger.setLevel(logging.INFO)
        logger.addHandler(ours)
        logger.propagate = False
    _redirect_prefect(directory / "prefect.log")


def _redirect_prefect(path: Path) -> None:
    import prefect.main  # noqa: F401 - sets up Prefect's logging, which is changed here

    theirs = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
    theirs.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().handlers = [theirs]
    logging.getLogger("prefect").handlers = []
    logging.getLogger("prefect.flow_runs").addFilter(LeavingIsNoError())
