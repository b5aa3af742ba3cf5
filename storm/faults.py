"""What can break: each fault begins, lasts some seconds, and is over when it returns."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from storm.stage import Stage
from storm.tables import query
from storm.verdict import PROVIDER

Break = Callable[[Stage, random.Random], None]


def killed(stage: Stage, _: random.Random) -> None:
    """SIGKILL, and a new start."""
    stage.kill()
    stage.start()


def stopped(stage: Stage, _: random.Random) -> None:
    """SIGTERM, and a new start."""
    stage.stop()
    stage.start()


def frozen(stage: Stage, chance: random.Random) -> None:
    """The process stands still for some seconds."""
    os.kill(stage.pid, signal.SIGSTOP)
    _last(chance.uniform(1, 6))
    os.kill(stage.pid, signal.SIGCONT)


def prefect_killed(stage: Stage, _: random.Random) -> None:
    """Prefect's server is killed; the service starts it again."""
    children = Path(f"/proc/{stage.pid}/task/{stage.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)


def provider_refuses(stage: Stage, chance: random.Random) -> None:
    """The provider answers 503."""
    stage.receiver.fail(503)
    _last(chance.uniform(1, 4))
    stage.receiver.succeed()


def provider_hangs(stage: Stage, chance: random.Random) -> None:
    """The provider takes messages and does not answer."""
    stage.receiver.hang()
    _last(chance.uniform(1, 4))
    stage.receiver.succeed()


def provider_dies(stage: Stage, chance: random.Random) -> None:
    """The provider takes messages and closes the connection."""
    stage.receiver.die()
    _last(chance.uniform(1, 4))
    stage.receiver.succeed()


def killed_while_sending(stage: Stage, chance: random.Random) -> None:
    """SIGKILL while messages are on their way, whose outcome nobody knows."""
    stage.receiver.hang()
    _last(chance.uniform(0.5, 2))
    stage.kill()
    stage.receiver.succeed()
    stage.start()


def row_locked(stage: Stage, chance: random.Random) -> None:
    """Somebody's open transaction keeps a subject's row."""
    codes = sorted(row["code"] for row in query(stage.database, "SELECT code FROM subjects"))
    with psycopg.connect(_address(stage), connect_timeout=5) as holder:
        lock = "SELECT 1 FROM subjects WHERE code = %s FOR UPDATE"
        holder.execute(lock, [chance.choice(codes)] if codes else [""])
        _last(chance.uniform(3, 10))
        holder.rollback()


def connections_silent(stage: Stage, _: random.Random) -> None:
    """The present connections to the server fall silent; new ones work."""
    assert stage.proxy is not None
    stage.proxy.silence()


def connections_cut(stage: Stage, _: random.Random) -> None:
    """The server ends every session."""
    name = make_url(stage.database).database
    with psycopg.connect(_address(stage), autocommit=True, connect_timeout=5) as connection:
        sessions = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid) {sessions}".encode(), [name])


def file_locked(stage: Stage, chance: random.Random) -> None:
    """Another program holds the lock of the study's file."""
    with closing(_open(_file(stage))) as other:
        other.execute("BEGIN IMMEDIATE")
        _last(chance.uniform(1, 5))
        other.execute("ROLLBACK")


def file_replaced(stage: Stage, chance: random.Random) -> None:
    """Somebody puts a copy in the place of study.db while the service runs; it is started again later."""
    file = _file(stage)
    copy = file.with_suffix(".copy")
    with closing(_open(file)) as holder, closing(_open(file)) as source, closing(_open(copy)) as target:
        holder.execute("BEGIN IMMEDIATE")
        source.backup(target)
        for beside in ("-wal", "-shm"):
            Path(f"{file}{beside}").unlink(missing_ok=True)
        copy.replace(file)
    _last(chance.uniform(1, 4))
    stage.kill()
    stage.start()


EVERYWHERE: Mapping[str, Break] = {
    "killed": killed,
    "stopped": stopped,
    "frozen": frozen,
    f"{PROVIDER} refuses": provider_refuses,
    f"{PROVIDER} hangs": provider_hangs,
    f"{PROVIDER} dies": provider_dies,
    f"{PROVIDER} hangs, killed": killed_while_sending,
}
OF_SQLITE: Mapping[str, Break] = {"file locked": file_locked, "file replaced": file_replaced}
OF_POSTGRESQL: Mapping[str, Break] = {
    "row locked": row_locked,
    "connections silent": connections_silent,
    "connections cut": connections_cut,
}


def faults(stage: Stage) -> Mapping[str, Break]:
    """What can break on a stage."""
    of_database = OF_SQLITE if stage.database.startswith("sqlite") else OF_POSTGRESQL
    of_prefect = {"prefect killed": prefect_killed} if stage.with_prefect else {}
    return {**EVERYWHERE, **of_database, **of_prefect}


def _last(seconds: float) -> None:
    threading.Event().wait(seconds)


def _address(stage: Stage) -> str:
    return make_url(stage.database).set(drivername="postgresql").render_as_string(hide_password=False)


def _file(stage: Stage) -> Path:
    return Path(str(make_url(stage.database).database))


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None, timeout=60)
