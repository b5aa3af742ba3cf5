"""What a failed send proves decides whether its repetition is marked: in doubt it is."""

import hashlib
import io
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apprise import Apprise, NotifyBase

from tasks.delivery.channels import Channels, Recipient
from tasks.delivery.sending import BOUND, Message, Outcome, all_at_once, send
from tests.support import Receiver, free_port
from tests.tasks.mail_server import mail_server

pytestmark = pytest.mark.requirement("DLV-02")

MESSAGE = Message("ITP-001: a title", "a body\nof two lines :smile: \\n")


def recipient(path: Path, url: str) -> Recipient:
    file = path / "apprise.txt"
    file.write_text(f"coordinator={url}\n")
    [found] = Channels.from_config(file).of("coordinator")
    assert not found.is_console
    return found


def sent(path: Path, url: str) -> Outcome:
    return send(recipient(path, url), MESSAGE, io.StringIO())


def test_what_is_accepted_is_sent(receiver: Receiver, tmp_path: Path) -> None:
    assert sent(tmp_path, receiver.apprise_url("x")) == Outcome("sent")
    [request] = receiver.requests
    assert (request.body["title"], request.body["message"]) == (MESSAGE.title, MESSAGE.body.rstrip())


def test_nobody_listens_the_message_was_surely_not_accepted(tmp_path: Path) -> None:
    outcome = sent(tmp_path, f"json://127.0.0.1:{free_port()}/x")
    assert outcome == Outcome("failed", "the provider could not be reached")


def test_an_unknown_host_never_got_the_message(tmp_path: Path) -> None:
    assert sent(tmp_path, "json://nobody.invalid/x").kind == "failed"


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_a_provider_that_answers_with_an_error_did_not_accept(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.fail(status)
    outcome = sent(tmp_path, receiver.apprise_url("x"))
    assert outcome == Outcome("failed", f"the provider answered {status}")


def test_what_a_configuration_says_of_threads_does_not_hide_the_evidence(
    receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "apprise.yaml"
    file.write_text(
        f"asset: {{async_mode: yes}}\nurls:\n  - {receiver.apprise_url('x')}:\n      - tag: coordinator\n"
    )
    [found] = Channels.from_config(file).of("coordinator")
    receiver.fail(503)
    assert send(found, MESSAGE, io.StringIO()) == Outcome("failed", "the provider answered 503")


@pytest.mark.parametrize(
    ("status", "kind"), [(301, "failed"), (302, "unknown"), (303, "unknown"), (308, "failed")]
)
def test_a_provider_that_has_moved_has_got_nothing_and_the_answer_of_its_new_place_counts_for_nothing(
    receiver: Receiver, tmp_path: Path, status: int, kind: str
) -> None:
    receiver.fail(status)
    outcome = sent(tmp_path, receiver.apprise_url("x") + "?redirect=yes")
    assert outcome.kind == kind
    assert str(outcome.error).startswith(
        f"the provider answered {status}: it has moved; write its new address into the Apprise configuration"
    )


@pytest.mark.parametrize(
    ("url", "seconds"),
    [("json://127.0.0.1/x", 25), ("json://127.0.0.1/x?rto=7", 7), ("mailto://u:p@example.org", 25)],
)
def test_a_provider_may_take_nearly_as_long_as_a_send_unless_its_url_says_otherwise(
    tmp_path: Path, url: str, seconds: float
) -> None:
    server = recipient(tmp_path, url).server
    assert server
    connecting, answering = server.request_timeout
    assert answering == seconds < BOUND
    if url.startswith("mailto"):
        assert connecting == seconds, "mail has this limit alone"


def test_patience_with_a_provider_does_not_make_it_another_recipient(tmp_path: Path) -> None:
    found = recipient(tmp_path, "json://127.0.0.1/x")
    fresh = Apprise.instantiate("json://127.0.0.1/x")
    assert isinstance(fresh, NotifyBase)
    assert found.id == hashlib.sha256(str(fresh.url(privacy=False)).encode()).hexdigest()[:16]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_that_lost_the_answer_leaves_it_unknown(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.fail(status)
    assert sent(tmp_path, receiver.apprise_url("x")).kind == "unknown"


def test_a_connection_cut_without_an_answer_leaves_it_unknown(receiver: Receiver, tmp_path: Path) -> None:
    receiver.die()
    assert sent(tmp_path, receiver.apprise_url("x")).kind == "unknown"


def test_no_answer_in_time_leaves_it_unknown(receiver: Receiver, tmp_path: Path) -> None:
    receiver.hang()
    assert sent(tmp_path, receiver.apprise_url("x") + "?rto=0.2").kind == "unknown"


def test_a_message_refused_in_several_parts_may_have_been_accepted_in_part(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.fail(503)
    long = Message("ITP-001: long", "a line of the body\n" * 4000)
    split = recipient(tmp_path, receiver.apprise_url("x") + "?overflow=split")
    assert send(split, long, io.StringIO()).kind == "unknown"
    assert len(receiver.requests) > 1


@pytest.mark.requirement("SEC-04")
def test_an_error_holds_no_secret(receiver: Receiver, tmp_path: Path) -> None:
    receiver.fail(401)
    url = f"json://user:s3cret@127.0.0.1:{receiver.port}/x"
    assert "s3cret" not in str(sent(tmp_path, url))


def mail(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=itp@example.org&to=a@example.org&mode=insecure"


def test_mail_is_accepted(tmp_path: Path) -> None:
    with mail_server() as port:
        assert sent(tmp_path, mail(port)) == Outcome("sent")


def test_a_mail_server_that_is_down_never_got_the_message(tmp_path: Path) -> None:
    assert sent(tmp_path, mail(free_port())).kind == "failed"


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT"])
def test_a_mail_server_that_refuses_before_the_message_did_not_accept(tmp_path: Path, verb: bytes) -> None:
    with mail_server(verb) as port:
        assert sent(tmp_path, mail(port)).kind == "failed"


def test_a_mail_server_that_hangs_up_on_the_message_leaves_it_unknown(tmp_path: Path) -> None:
    with mail_server(b"DOT") as port:
        assert sent(tmp_path, mail(port)).kind == "unknown"


class Unseen(NotifyBase):  # type: ignore[no-untyped-call]
    """A plugin that speaks through neither HTTP nor SMTP."""

    def send(self, body: str, title: str = "", notify_type: object = None, **kwargs: object) -> bool:
        return False


def test_a_plugin_whose_connections_cannot_be_seen_leaves_it_unknown() -> None:
    unseen = Recipient("x", "unseen://", frozenset(), Unseen())  # type: ignore[no-untyped-call]
    assert send(unseen, MESSAGE, io.StringIO()).kind == "unknown"


def test_sends_side_by_side_do_not_mix_their_evidence(receiver: Receiver, tmp_path: Path) -> None:
    receiver.fail(403)
    refused = recipient(tmp_path, receiver.apprise_url("x"))
    unreached = recipient(tmp_path, f"json://127.0.0.1:{free_port()}/x")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: send(each, MESSAGE, io.StringIO()), [refused, unreached] * 8))
    assert [outcome.error for outcome in found] == [
        "the provider answered 403",
        "the provider could not be reached",
    ] * 8


@pytest.mark.requirement("RUN-08")
def test_sends_are_bounded_in_time_and_do_not_wait_for_each_other() -> None:
    never, ended = threading.Event(), threading.Event()

    def step(item: str) -> Outcome:
        if item == "slow":
            never.wait()
            ended.set()
        return Outcome("sent")

    found = {each.item: each for each in all_at_once(["slow", "quick"], step, bound=0.3)}
    assert found["quick"].outcome == Outcome("sent")
    assert found["slow"].outcome.kind == "unknown"
    assert 0.3 <= found["slow"].seconds < 5
    never.set()
    assert ended.wait(5)


def test_what_a_send_came_to_after_its_time_is_told_all_the_same() -> None:
    answer, late = threading.Event(), queue.SimpleQueue[tuple[str, Outcome]]()

    def step(_: str) -> Outcome:
        answer.wait()
        return Outcome("sent")

    def tell(item: str, outcome: Outcome) -> None:
        late.put((item, outcome))

    [found] = all_at_once(["slow"], step, bound=0.1, late=tell)
    assert found.outcome.kind == "unknown"
    answer.set()
    assert late.get(timeout=5) == ("slow", Outcome("sent"))


def test_who_waits_for_a_send_is_called_every_second() -> None:
    answer = threading.Event()

    def step(_: str) -> Outcome:
        answer.wait()
        return Outcome("sent")

    [found] = all_at_once(["x"], step, meanwhile=answer.set)
    assert found.outcome == Outcome("sent")


def test_who_waits_is_called_also_while_outcomes_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.delivery.sending.MEANWHILE_SECONDS", 0.0)
    called: list[int] = []
    found = list(all_at_once(range(5), lambda _: Outcome("sent"), meanwhile=lambda: called.append(1)))
    assert len(found) == 5
    assert len(called) >= 4, "after each but the last"


def test_a_send_that_breaks_off_is_unknown_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def step(_: str) -> Outcome:
        raise ZeroDivisionError

    [found] = all_at_once(["x"], step)
    assert found.outcome.kind == "unknown"
    assert "a send broke off" in caplog.text
