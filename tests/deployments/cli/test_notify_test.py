"""`itp notify test` sends a marked test to each recipient, and prints what each provider answered."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.deployments.cli.conftest import Itp
from tests.support import Receiver, free_port
from tests.tasks.mail_server import mail_server

pytestmark = pytest.mark.requirement("DLV-05")

SECRET = "s3cretpassword"


@pytest.fixture
def configured(tmp_path: Path, receiver: Receiver) -> str:
    """Two recipients that answer: one for two audiences, one for an audience at a site."""
    return write(
        tmp_path,
        f"coordinator, ops=json://user:{SECRET}@127.0.0.1:{receiver.port}/crc",
        f"coordinator-02={receiver.apprise_url('second')}",
    )


def write(path: Path, *lines: str) -> str:
    file = path / "apprise.conf"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def test_each_recipient_gets_one_marked_test_and_its_answer_is_told(
    itp: Itp, configured: str, receiver: Receiver
) -> None:
    said = itp("notify", "test", "--json", ITP_APPRISE_CONFIG=configured)
    assert said.code == 0, said.err
    assert said.json["ok"] is True
    assert [(each["audiences"], each["outcome"], each["answer"]) for each in said.json["recipients"]] == [
        (["coordinator", "ops"], "sent", "HTTP 200"),
        (["coordinator-02"], "sent", "HTTP 200"),
    ]
    assert sorted(request.path for request in receiver.requests) == ["/crc", "/second"]
    for request in receiver.requests:
        assert request.body["title"].startswith("[test] NCT06813157")
        assert "nothing is to be done" in request.body["message"]
    [first] = receiver.at("crc")
    assert "to: coordinator, ops." in first.body["message"]


def test_an_audience_is_tested_alone_and_at_its_site(itp: Itp, configured: str, receiver: Receiver) -> None:
    assert itp("notify", "test", "ops", ITP_APPRISE_CONFIG=configured).code == 0
    assert [request.path for request in receiver.requests] == ["/crc"]
    assert itp("notify", "test", "Coordinator-02", ITP_APPRISE_CONFIG=configured).code == 0
    assert sorted(request.path for request in receiver.requests[1:]) == ["/crc", "/second"]


def test_a_refusal_is_told_with_its_reason_and_the_exit_code_says_so(
    itp: Itp, tmp_path: Path, receiver: Receiver
) -> None:
    down = free_port()
    config = write(
        tmp_path, f"coordinator={receiver.apprise_url('x')}", f"sponsor=json://u:{SECRET}@127.0.0.1:{down}/y"
    )
    receiver.fail(403)
    said = itp("notify", "test", ITP_APPRISE_CONFIG=config)
    assert said.code == 1
    text = " ".join(said.out.split())
    assert "the provider answered 403" in text
    assert "reached" in text
    assert text.count("failed") == 2
    assert max(map(len, said.out.splitlines())) <= 80


def test_an_answer_that_is_open_is_no_success(itp: Itp, configured: str, receiver: Receiver) -> None:
    receiver.fail(504)
    said = itp("notify", "test", "ops", "--json", ITP_APPRISE_CONFIG=configured)
    assert (said.code, said.json["ok"]) == (1, False)
    assert said.json["recipients"][0]["outcome"] == "unknown"


def test_no_secret_is_printed(itp: Itp, configured: str, receiver: Receiver) -> None:
    for status in (200, 401):
        receiver.fail(status)
        for form in ((), ("--json",)):
            said = itp("notify", "test", *form, ITP_APPRISE_CONFIG=configured)
            assert SECRET not in said.out + said.err


def test_a_site_of_china_is_tested_in_chinese_by_mail(itp: Itp, tmp_path: Path) -> None:
    protocol = Path(__file__).parents[3] / "itp_events/protocol/nct06813157.yaml"
    text = protocol.read_text(encoding="utf-8").replace("language: en", "language: zh-CN")
    chinese = tmp_path / "protocol.yaml"
    chinese.write_text(text, encoding="utf-8")
    mails: list[bytes] = []
    with mail_server(mails=mails) as port:
        to = "from=itp@example.org&to=a@example.org&mode=insecure"
        config = write(tmp_path, f"investigator=mailto://127.0.0.1:{port}?{to}")
        said = itp("notify", "test", ITP_APPRISE_CONFIG=config, ITP_PROTOCOL=str(chinese))
    assert said.code == 0, said.err
    [mail] = [message_from_bytes(each, policy=policy.default) for each in mails]
    assert mail["Subject"].startswith("【测试】")
    page = mail.get_body(("html",))
    assert page
    assert "此渠道接收发给以下角色的消息：研究者。" in page.get_content()


def test_nobody_to_test_is_a_failure_that_says_why(itp: Itp, configured: str) -> None:
    said = itp("notify", "test")
    assert said.code == 1
    assert "there is nobody to send a test to: no Apprise configuration" in said.err
    said = itp("notify", "test", "sponsor", ITP_APPRISE_CONFIG=configured)
    assert (said.code, said.out) == (1, "")
    assert "there is nobody to send a test to: no URL is tagged sponsor" in said.err


def test_an_audience_that_does_not_exist_is_refused(itp: Itp, configured: str, receiver: Receiver) -> None:
    said = itp("notify", "test", "nurses", ITP_APPRISE_CONFIG=configured)
    assert said.code == 2
    assert "AUDIENCE: there is no audience nurses; name one of coordinator" in said.err
    assert receiver.requests == []


def test_what_is_wrong_with_the_configuration_is_said_beside_the_answers(itp: Itp, configured: str) -> None:
    said = itp("notify", "test", ITP_APPRISE_CONFIG=configured)
    assert said.code == 0
    assert "no URL is tagged sponsor" in said.err


def test_a_test_is_no_notice_of_the_study(itp: Itp, configured: str, tmp_path: Path) -> None:
    assert itp("notify", "test", ITP_APPRISE_CONFIG=configured).code == 0
    assert not (tmp_path / "data").exists()
