"""Sends one message to one recipient, within a time limit, and tells the outcome.

The outcome is recorded, and a failed send tried again, by `tasks.delivery.deliver`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TextIO, TypeVar

from apprise import Apprise, NotifyBase, NotifyFormat, NotifyType

from tasks.delivery.answers import read
from tasks.delivery.channels import Recipient
from tasks.delivery.evidence import Trace, speaks, traced
from tasks.delivery.naming import unspoken
from tasks.delivery.providers import provider
from tasks.text.mail import mail_html
from tasks.text.markup import fit, is_mail

# No send takes longer, in seconds; the lease of a delivery is longer than this by far.
BOUND = 30.0
# So often the caller is called during the wait, as for its signs of life.
MEANWHILE_SECONDS = 1.0

Kind = Literal["sent", "failed", "unknown"]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of plain text, title and body; an urgent one may be shown differently.

    `links` is the beginning of the addresses of the service's own pages; empty where it has none. `language`
    is that of the text.
    """

    title: str
    body: str
    urgent: bool = False
    links: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failed`: surely not accepted. `unknown`: perhaps accepted, so a repetition must say so.

    Where nothing was `tried`, the failure says nothing of the provider. `answer` is what the provider said to
    a message that it took; nothing rests on it.
    """

    kind: Kind
    error: str | None = None
    tried: bool = True
    answer: str | None = field(default=None, compare=False)

    def without_words(self) -> Outcome:
        """The outcome without anything that the provider said."""
        error = self.error and "the provider's words are not kept, since they may hold a number"
        return replace(self, error=error, answer=None)


@dataclass(frozen=True, slots=True)
class Sent(Generic[Item]):
    """The outcome for one item, and how many seconds after the start it was known."""

    item: Item
    outcome: Outcome
    seconds: float


def send(recipient: Recipient, message: Message, out: TextIO) -> Outcome:
    """Send now, without retrying, and return the outcome; it takes as long as Apprise does."""
    if recipient.server is None:
        return _print(message, out)
    outcome = _through_apprise(recipient.server, message)
    # A provider may repeat the number to which it sends.
    return outcome.without_words() if recipient.is_participant else outcome


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
    body, shown_as = fit(message.body, server, message.links), NotifyFormat.TEXT
    if is_mail(server):
        body = mail_html(message.title, message.body, message.language, message.links)
        shown_as = NotifyFormat.HTML
    with traced() as trace:
        accepted = apprise.notify(
            body=body,
            title=fit(message.title, server),
            notify_type=kind,
            body_format=shown_as,
            interpret_escapes=False,
        )
    return _outcome(server, trace, accepted=bool(accepted))


def _outcome(server: NotifyBase, trace: Trace, *, accepted: bool) -> Outcome:
    """The outcome of a send: what Apprise says counts, unless the provider's own answer says otherwise."""
    row = provider(server)
    reading = read(row.answers if row else (), trace.responses)
    said = unspoken(reading.said, server)
    if reading.verdict == "refused" and trace.all_answered:
        return Outcome("failed", said)
    if accepted and not trace.handing_over and speaks(server, "requests", "smtplib"):
        return Outcome("failed", "Apprise sent nothing, though it says that it did")
    if accepted:
        return Outcome("sent", answer=said) if reading.verdict == "taken" else Outcome("unknown", said)
    refusal = trace.refusal(server)
    return Outcome("failed", refusal) if refusal else Outcome("unknown", trace.doubt())


def all_at_once(
    items: Iterable[Item],
    step: Callable[[Item], Outcome],
    bound: float = BOUND,
    *,
    meanwhile: Callable[[], None] = lambda: None,
    late: Callable[[Item, Outcome], None] = lambda _item, _outcome: None,
) -> Iterator[Sent[Item]]:
    """Run `step` on every item in a thread of its own, and yield each outcome as it comes.

    `meanwhile` is called every second during the wait. After `bound` seconds the outcome of a send that has
    not ended is unknown. Its thread goes on, since a send cannot be recalled; when it ends, `late` is called
    with its outcome, in that thread.
    """
    began = time.monotonic()
    sends = _Sends(step, late)
    waiting = dict(enumerate(items))
    for number, item in waiting.items():
        threading.Thread(target=sends.run, args=(number, item), daemon=True).start()
    called = began
    while waiting:
        left = began + bound - time.monotonic()
        ended = sends.next(min(left, MEANWHILE_SECONDS)) if left > 0 else sends.next_or_none()
        if ended is not None:
            number, outcome = ended
            yield Sent(waiting.pop(number), outcome, time.monotonic() - began)
        elif left <= 0:
            break
        if waiting and time.monotonic() - called >= MEANWHILE_SECONDS:
            called = time.monotonic()
            meanwhile()
    for item in waiting.values():
        slow = Outcome("unknown", f"no answer within {bound:g} s: the provider may have accepted it")
        yield Sent(item, slow, time.monotonic() - began)


class _Sends(Generic[Item]):
    """Sends side by side; one that ends after the wait is late."""

    def __init__(self, step: Callable[[Item], Outcome], late: Callable[[Item, Outcome], None]) -> None:
        self._step = step
        self._late = late
        self._done: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._over = False

    def run(self, number: int, item: Item) -> None:
        outcome = Outcome("unknown", "the sender broke off: see the service's log")
        try:
            outcome = self._step(item)
        except Exception:
            # The delivery gets an outcome after any error, and is tried again.
            logging.getLogger(__name__).exception("a send broke off")
        finally:
            with self._lock:
                over = self._over
                if not over:
                    self._done.put((number, outcome))
            if over:
                self._late(item, outcome)

    def next(self, seconds: float) -> tuple[int, Outcome] | None:
        try:
            return self._done.get(timeout=seconds)
        except queue.Empty:
            return None

    def next_or_none(self) -> tuple[int, Outcome] | None:
        """A send that has ended; None when there is none: then every send that still runs is late."""
        with self._lock:
            self._over = self._done.empty()
        return None if self._over else self._done.get()
