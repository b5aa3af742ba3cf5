"""Where the CPU of the doors and of Prefect's server goes in a load, by part; `py-spy` takes the samples.

`pip install py-spy`, then `python -m bench.machines --profile`. A sample counts for the innermost part of its
stack: a statement that the rules' caller executes counts for the statements. Only the thread that has the
interpreter is looked at.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RATE = 200
_BEGAN = "Sampling process"
_FROM = re.compile(r"\((?P<file>[^()]*):\d+\)$")
Places = Mapping[str, tuple[str, ...]]
# By kind of process: the parts, and how the paths of their modules begin.
PARTS: Mapping[str, Places] = {
    "doors": {
        "HTTP": ("fastapi/", "starlette/", "uvicorn/", "anyio/", "httptools/", "deployments/"),
        "statements": ("sqlalchemy/", "psycopg", "tasks/database/"),
        "rules": ("itp_events/", "tasks/advance.py"),
        "texts": ("tasks/text/", "jinja2/"),
        "sending": ("apprise/", "requests/", "urllib3/"),
        "hand-over": ("tasks/delivery/",),
        "Prefect's client": ("flows/prefect_api/", "httpx/", "httpcore/"),
    },
    "Prefect": {
        "HTTP": (
            "fastapi/",
            "starlette/",
            "uvicorn/",
            "anyio/",
            "httptools/",
            "httpx/",
            "deployments/",
        ),
        "statements": ("sqlalchemy/", "aiosqlite/", "asyncpg/", "prefect/server/database/"),
        "models": ("pydantic/", "pydantic_core/", "pydantic_settings/", "prefect/server/schemas/"),
        "states": ("prefect/server/orchestration/", "prefect/server/models/", "prefect/server/api/"),
        "events": ("prefect/server/events/", "prefect/events/"),
        "background tasks": ("docket/", "prefect/server/services/", "redis/", "fakeredis/"),
    },
}


def sampler() -> str | None:
    """The program that takes the samples; None when it is not on the PATH."""
    return shutil.which("py-spy")


@contextmanager
def profiled(program: str, pids: Mapping[int, str]) -> Iterator[list[str]]:
    """Take samples of processes, each of a kind in PARTS; afterwards the list holds a line about each kind.

    `program` is the `sampler`.
    """
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="itp-profile-") as folder:
        files = {pid: Path(folder) / f"{pid}.txt" for pid in pids}
        begun = [_begun(program, pid, file) for pid, file in files.items()]
        try:
            yield said
        finally:
            for each in begun:
                each.send_signal(signal.SIGINT)
                each.communicate()
        for kind in dict.fromkeys(pids.values()):
            counted: Counter[str] = Counter()
            for pid, file in files.items():
                if pids[pid] == kind:
                    counted += samples_by_part(file.read_text().splitlines(), PARTS[kind])
            said.append(f"{kind}: {_in_words(counted)}")


def samples_by_part(stacks: Iterable[str], places: Places) -> Counter[str]:
    """Count the samples of collapsed stacks, `outer (file:1);inner (file:2) 7`, by part."""
    counted: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        counted[_part(stack, places)] += int(count)
    return counted


def _part(stack: str, places: Places) -> str:
    for frame in reversed(stack.split(";")):
        if found := _FROM.search(frame):
            for part, begins in places.items():
                if found["file"].startswith(begins):
                    return part
    return "other"


def _begun(program: str, pid: int, file: Path) -> subprocess.Popen[str]:
    command = [program, "record", "--gil", "-r", f"{RATE}", "-f", "raw", "-o", f"{file}", "-p", f"{pid}"]
    # So many seconds at most: it is stopped earlier.
    process = subprocess.Popen(
        [*command, "-d", "3600"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if _BEGAN in line:
            return process
    raise RuntimeError(f"py-spy could not look at process {pid}: it needs the right to trace it")


def _in_words(counted: Counter[str]) -> str:
    total = max(counted.total(), 1)
    return f"{', '.join(f'{part} {count / total:.0%}' for part, count in counted.most_common())} of {total}"
