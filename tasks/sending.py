"""One message to one recipient, bounded in time, and what became of it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TextIO, TypeVar

from apprise import Apprise, NotifyBase, NotifyFormat, NotifyType

from tasks.channels import Recipient
from tasks.evidence import traced

# No send takes longer, in seconds; the lease of a delivery is longer than this by far.
BOUND = 30.0

Kind = Literal["sent", "failed", "unknown"]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a title and a body of plain text; urgent ones may be shown differently."""

    title: str
    body: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failed`: surely not accepted. `unknown`: perhaps accepted, so a repetition must say so."""

    kind: Kind
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Sent(Generic[Item]):
    """The outcome for one item, and how many seconds after the start it was known."""

    item: Item
    outcome: Outcome
    seconds: float


def send(recipient: Recipient, message: Message, out: TextIO) -> Outcome:
    """Send now, without retrying; takes as long as Apprise does."""
    if recipient.server is None:
        return _print(message, out)
    return _through_apprise(recipient.server, message)


def _print(message: Message, out: TextIO) -> Outcome:
    rule = "-" * 72
    try:
        out.write(f"{rule}\n{message.title}\n\n{message.body}\n{rule}\n")
        out.flush()
    except (OSError, ValueError) as error:
        return Outcome("failed", f"the console cannot be written to: {error}")
    return Outcome("sent")


def _through_apprise(server: NotifyBase, message: Message) -> Outcome:
    apprise = Apprise()
    apprise.add(server)
    kind = NotifyType.WARNING if message.urgent else NotifyType.INFO
    with traced() as trace:
        accepted = apprise.notify(
            body=message.body,
            title=message.title,
            notify_type=kind,
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
        )
    if accepted:
        return Outcome("sent")
    refusal = trace.refusal(server)
    return Outcome("failed", refusal) if refusal else Outcome("unknown", trace.doubt())


def all_at_once(
    items: Iterable[Item], step: Callable[[Item], Outcome], bound: float = BOUND
) -> Iterator[Sent[Item]]:
    """Run `step` on every item in a thread of its own, and yield each outcome as it comes.

    After `bound` seconds what has not ended is unknown: its thread is left to itself, since a send
    cannot be recalled.
    """
    began = time.monotonic()
    done: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
    waiting = dict(enumerate(items))
    for number, item in waiting.items():
        threading.Thread(target=_run, args=(number, item, step, done), daemon=True).start()
    while waiting:
        try:
            number, outcome = done.get(timeout=max(0.0, began + bound - time.monotonic()))
        except queue.Empty:
            break
        yield Sent(waiting.pop(number), outcome, time.monotonic() - began)
    for item in waiting.values():
        late = Outcome("unknown", f"no answer within {bound:g} s: the provider may have accepted it")
        yield Sent(item, late, time.monotonic() - began)


def _run(
    number: int,
    item: Item,
    step: Callable[[Item], Outcome],
    done: queue.SimpleQueue[tuple[int, Outcome]],
) -> None:
    outcome = Outcome("unknown", "the sender broke off: see the service's log")
    try:
        outcome = step(item)
    except Exception:
        # Whatever went wrong, the delivery gets an outcome and is tried again.
        logging.getLogger(__name__).exception("a send broke off")
    finally:
        done.put((number, outcome))
