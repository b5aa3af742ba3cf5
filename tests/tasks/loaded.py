"""All that the workers of tests use, for the one process that loads it before they are forked from it."""

from importlib import import_module

from apprise import Apprise

from deployments.loading import loading
from itp_events.protocol.file import load_protocol

with loading():
    for _name in (
        "alembic.command",
        "tests.tasks.archive.worker",
        "tests.tasks.sender",
        "tests.tasks.worker",
    ):
        import_module(_name)
    # Both load hundreds of modules at their first use.
    load_protocol()
    Apprise().add("json://localhost")
