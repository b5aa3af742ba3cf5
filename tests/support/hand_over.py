"""A hand-over as tests ask for it: at an instant that they choose, with its outcomes in their hands."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from itp_events.protocol.model import Protocol
from tasks.database.instance import Instance
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import DeliveryContext
from tasks.delivery.claims import Clocks
from tasks.delivery.deliver import Handed, hand_over_one, waiting

SIDE_BY_SIDE = 8


def hand_over(
    store: Store,
    protocol: Protocol,
    channels: Channels,
    now: datetime,
    *,
    subject: str | None = None,
    wall: datetime | None = None,
    instance: Instance | None = None,
) -> list[Handed]:
    """Hand over what is due of one subject, or side by side of all subjects and the service itself.

    `now` is the study's time and `wall` the machine's, which leases and waits follow; both are in UTC.
    `instance` is this process as others see it, by default one for this hand-over alone.

    Raises:
        Unreadable: a subject cannot be decided about. It is raised at the end, when the others have been
            served.
    """
    context = DeliveryContext(store, protocol, channels, instance or Instance())
    start = Clocks(now, wall or now)
    if subject is not None:
        return hand_over_one(context, subject, start)
    # Not map(): the first subject that fails would cancel those that have not begun.
    with ThreadPoolExecutor(SIDE_BY_SIDE, "hand-over") as pool:
        codes = waiting(store, start.now, start.wall)
        done = [pool.submit(hand_over_one, context, code, start) for code in codes]
    return [handed for each in done for handed in each.result()]
