"""The signs of life that processes give, as they would be later."""

from datetime import timedelta

import sqlalchemy as sa

from tasks.database.schema import senders
from tasks.database.store import Store


def fall_silent(store: Store, process: str, seconds: float) -> None:
    """Let the last sign of life be so many seconds older, as if none had come since."""
    same = senders.c.id == process
    with store.writing() as connection:
        at = connection.scalar(sa.select(senders.c.at).where(same))
        assert at is not None
        connection.execute(senders.update().where(same).values(at=at - timedelta(seconds=seconds)))
