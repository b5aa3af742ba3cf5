"""What a provider says in its answer counts, also where it says so with HTTP 200."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from apprise import NotifyBase
from apprise.manager_plugins import NotificationManager

from tasks.delivery.channels import Channels
from tasks.delivery.providers import PROVIDERS, provider
from tasks.delivery.sending import Message, Outcome, send
from tests.tasks.delivery.stand_in import StandIn, stand_in
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later

# The stand-in has a certificate of its own.
pytestmark = [
    pytest.mark.requirement("DLV-04"),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

MESSAGE = Message("ITP-007: book Infusion 3", "Window: 2 to 8 Feb 2026.")
HEX = "0123456789abcdef" * 2
PHONE = "15551230001"
KEY = "a" * 30


class Case(NamedTuple):
    """A provider's URL, its answer to a message that it takes, and the one to a message that it refuses.

    `why` must be told of the refusal; `logins` are the answers of other addresses, by the end of their path.
    """

    url: str
    taken: Any
    refused: Any
    why: str
    logins: dict[str, Any] = {}  # noqa: RUF012 - never changed


CASES = {
    "africas_talking": Case(
        f"atalk://user@{KEY}/{PHONE}",
        {
            "SMSMessageData": {
                "Message": "Sent to 1/1",
                "Recipients": [{"statusCode": 101, "number": f"+{PHONE}"}],
            }
        },
        {
            "SMSMessageData": {
                "Message": "Sent to 0/1",
                "Recipients": [{"statusCode": 403, "number": f"+{PHONE}"}],
            }
        },
        "statusCode 403",
    ),
    "bulksms": Case(
        f"bulksms://id:secret@{PHONE}",
        [{"type": "SENT", "status": {"type": "ACCEPTED"}}],
        [{"type": "SENT", "status": {"type": "FAILED", "subtype": "NOT_SENT"}}],
        "NOT_SENT",
    ),
    "bulkvs": Case(
        f"bulkvs://user:pass@15551230009/{PHONE}",
        {"RefId": "5a", "Results": [{"To": PHONE, "Status": "SUCCESS"}]},
        {"RefId": "5a", "Results": [{"To": PHONE, "Status": "FAILED"}]},
        "Status FAILED",
    ),
    "burstsms": Case(
        f"burstsms://{'a' * 8}:{'b' * 16}@15551230009/{PHONE}",
        {"message_id": 1, "error": {"code": "SUCCESS", "description": "OK"}},
        {"error": {"code": "RECIPIENTS_ERROR", "description": "no valid recipients"}},
        "RECIPIENTS_ERROR, no valid recipients",
    ),
    "clickatell": Case(
        f"clickatell://{KEY}/{PHONE}",
        {"messages": [{"apiMessageId": "1", "accepted": True, "error": None}]},
        {"messages": [{"apiMessageId": None, "accepted": False, "error": "Invalid destination"}]},
        "Invalid destination",
    ),
    "clicksend": Case(
        f"clicksend://user:pass@{PHONE}",
        {"response_code": "SUCCESS", "data": {"messages": [{"status": "SUCCESS"}]}},
        {"response_code": "SUCCESS", "data": {"messages": [{"status": "INSUFFICIENT_CREDIT"}]}},
        "INSUFFICIENT_CREDIT",
    ),
    "d7networks": Case(
        f"d7sms://{KEY}@{PHONE}",
        {"request_id": "1", "status": "accepted"},
        {"status": "rejected", "detail": "no balance"},
        "no balance",
    ),
    "dingtalk": Case(
        f"dingtalk://{KEY}/",
        {"errcode": 0, "errmsg": "ok"},
        {"errcode": 310000, "errmsg": "keywords not in content"},
        "errcode 310000, keywords not in content",
    ),
    "enigma2": Case(
        "enigma2://box.example",
        {"result": True, "message": "sent"},
        {"result": False, "message": "no TV"},
        "no TV",
    ),
    "exotel": Case(
        f"exotel://{'s' * 20}:{'t' * 40}@15551230009/{PHONE}",
        "<TwilioResponse><SMSMessage><Status>queued</Status></SMSMessage></TwilioResponse>",
        "<TwilioResponse><SMSMessage><Status>failed-dnd</Status></SMSMessage></TwilioResponse>",
        "failed-dnd",
    ),
    "fcm": Case(
        f"fcm://{KEY}/device",
        {"success": 1, "failure": 0, "results": [{"message_id": "1"}]},
        {"success": 0, "failure": 1, "results": [{"error": "NotRegistered"}]},
        "NotRegistered",
    ),
    "feishu": Case(
        f"feishu://{KEY}",
        {"code": 0, "msg": "success", "data": {}},
        {"code": 19024, "msg": "Key Words Not Found", "data": {}},
        "code 19024, Key Words Not Found",
    ),
    "fortysixelks": Case(
        f"46elks://user:pass@Acme/{PHONE}", {"status": "created"}, {"status": "failed"}, "status failed"
    ),
    "join": Case(
        f"join://{'a' * 32}/phone",
        {"success": True},
        {"success": False, "errorMessage": "User Not Authenticated"},
        "User Not Authenticated",
    ),
    "kavenegar": Case(
        f"kavenegar://{KEY}/{PHONE}",
        {"return": {"status": 200, "message": "OK"}},
        {"return": {"status": 418, "message": "no credit"}},
        "no credit",
    ),
    "kodi": Case(
        "kodi://tv.example",
        {"id": 1, "jsonrpc": "2.0", "result": "OK"},
        {"id": 1, "jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found."}},
        "Method not found.",
    ),
    "kook": Case(
        f"kook://{'a' * 40}/1234567890",
        {"code": 0, "message": "ok", "data": {}},
        {"code": 40000, "message": "no such channel"},
        "no such channel",
    ),
    "lark": Case(
        f"lark://{KEY}",
        {"StatusCode": 0, "StatusMessage": "success"},
        {"code": 11232, "msg": "frequency limited"},
        "code 11232, frequency limited",
    ),
    "mailersend": Case(
        f"mailersend://mlsn.{'a' * 64}:a@example.org/b@example.org",
        "",
        {"message": "There are some warnings", "warnings": [{"type": "ALL_SUPPRESSED"}]},
        "ALL_SUPPRESSED",
    ),
    "messagebird": Case(
        f"msgbird://{'a' * 25}/15551230009/{PHONE}",
        {"recipients": {"items": [{"status": "sent"}]}},
        {"recipients": {"items": [{"status": "delivery_failed"}]}},
        "delivery_failed",
    ),
    "mobilemessage": Case(
        "mobilemessage://user:pass@Acme/61412345678",
        {"status": "complete", "results": [{"status": "success"}]},
        {"status": "complete", "results": [{"status": "error", "error": "invalid number"}]},
        "invalid number",
    ),
    "msg91": Case(
        f"msg91://{'t' * 24}@{'a' * 23}/{PHONE}",
        {"type": "success", "message": "3763"},
        {"type": "error", "message": "invalid template"},
        "invalid template",
    ),
    "nextcloud": Case(
        "ncloud://user:pass@cloud.example/anna",
        {"ocs": {"meta": {"status": "ok", "statuscode": 200}}},
        {"ocs": {"meta": {"status": "failure", "statuscode": 404, "message": "no such user"}}},
        "no such user",
    ),
    "notifyre": Case(
        f"notifyre://{KEY}/{PHONE}",
        {"success": True},
        {"success": False, "message": "no credit"},
        "no credit",
    ),
    "one_signal": Case(
        f"onesignal://{'a' * 8}-0000-4000-8000-{'b' * 12}@{KEY}/player",
        {"id": "1", "recipients": 1},
        {"id": "", "recipients": 0, "errors": ["All included players are not subscribed"]},
        "not subscribed",
    ),
    "postmark": Case(
        f"postmark://{'a' * 8}-0000-4000-8000-{'b' * 12}:a@example.org/b@example.org",
        {"ErrorCode": 0, "Message": "OK"},
        {"ErrorCode": 406, "Message": "Inactive recipient"},
        "ErrorCode 406, Inactive recipient",
    ),
    "pushdeer": Case(
        f"pushdeer://{KEY}",
        {"code": 0, "content": {"result": ["{}"]}},
        {"code": 80501, "error": "the key is invalid"},
        "code 80501, the key is invalid",
    ),
    "pushjet": Case(
        f"pjet://push.example/{KEY}",
        {"status": "ok"},
        {"error": {"id": 2, "message": "No service with that secret"}, "status": "error"},
        "No service with that secret",
    ),
    "pushme": Case(f"pushme://{KEY}", "success", "push_key is invalid", "push_key is invalid"),
    "pushover": Case(
        f"pover://{'u' * 30}@{'t' * 30}",
        {"status": 1, "request": "1"},
        {"status": 0, "errors": ["user identifier is invalid"]},
        "user identifier is invalid",
    ),
    "pushplus": Case(
        f"pushplus://{'a' * 32}", {"code": 200, "msg": "ok"}, {"code": 900, "msg": "limited"}, "limited"
    ),
    "pushsafer": Case(
        f"psafer://{'a' * 20}/12",
        {"status": 1, "success": "message transmitted"},
        {"status": 0, "error": "unknown device"},
        "unknown device",
    ),
    "pushy": Case(
        f"pushy://{KEY}/device",
        {"success": True, "id": "1", "info": {"devices": 1}},
        {"success": False, "error": "no such device"},
        "no such device",
    ),
    "qq": Case(
        f"qq://{'a' * 32}",
        {"success": True, "reason": "done", "code": 0},
        {"success": False, "reason": "no such QQ", "code": 500},
        "no such QQ",
    ),
    "reddit": Case(
        f"reddit://user:pass@{'a' * 14}/{'b' * 27}/clinic",
        {"json": {"errors": [], "data": {"id": "1"}}},
        {"json": {"errors": [["NO_TEXT", "we need something here", "text"]]}},
        "NO_TEXT",
        {"access_token": {"access_token": "x", "token_type": "bearer", "expires_in": 3600}},
    ),
    "ringcentral": Case(
        f"ringc://15551230009:pass@{'a' * 16}/{'b' * 20}/{PHONE}",
        {"id": 1, "messageStatus": "Queued"},
        {"id": 1, "messageStatus": "SendingFailed"},
        "SendingFailed",
        {"token": {"access_token": "x", "token_type": "bearer", "expires_in": 3600}},
    ),
    "rocketchat": Case(
        f"rockets://{'a' * 24}/{'b' * 24}@chat.example/#ward",
        {"success": True},
        {"success": False, "error": "webhook-error"},
        "webhook-error",
    ),
    "sendpulse": Case(
        f"sendpulse://a@example.org/{'a' * 14}/{'b' * 14}/b@example.org",
        {"result": True, "id": "1"},
        {"result": False, "message": "no balance"},
        "no balance",
        {"access_token": {"access_token": "x", "token_type": "bearer", "expires_in": 3600}},
    ),
    "serverchan": Case(
        "schan://SCT0123456789abcdef",
        {"code": 0, "message": "", "data": {"error": "SUCCESS", "errno": 0}},
        {"code": 40001, "message": "bad pushkey"},
        "code 40001, bad pushkey",
    ),
    "serwersms": Case(
        f"serwersms://user:pass@Acme/{PHONE}",
        {"success": True, "queued": 1},
        {"success": False, "error": {"code": 4005, "message": "no funds"}},
        "no funds",
    ),
    "seven": Case(
        f"seven://{KEY}/{PHONE}", {"success": "100", "messages": []}, {"success": "900"}, "success 900"
    ),
    "sfr": Case(
        f"sfr://user:pass@space/{PHONE}",
        {"success": True},
        {"success": False, "errorCode": "A1", "errorDetail": "wrong password"},
        "wrong password",
    ),
    "slack": Case(f"slack://{'T' * 9}/{'B' * 9}/{'c' * 24}/#ward", "ok", "invalid_token", "invalid_token"),
    "smsc": Case(
        f"smsc://user:pass@{PHONE}",
        {"id": 1, "cnt": 1},
        {"error": "not enough credits", "error_code": 3},
        "error_code 3",
    ),
    "smseagle": Case(
        f"smseagle://{KEY}@eagle.example/{PHONE}",
        {"result": [{"message_id": 1, "status": "ok"}]},
        {"result": [{"status": "error", "error_text": "Wrong phone"}]},
        "Wrong phone",
    ),
    "smsmanager": Case(f"smsmgr://{KEY}@{PHONE}", "OK|1|420777", "ERROR|104", "ERROR|104"),
    "smtp2go": Case(
        f"smtp2go://user@example.org/{KEY}/b@example.org",
        {"data": {"succeeded": 1, "failed": 0, "failures": []}},
        {"data": {"succeeded": 0, "failed": 1, "failures": ["b@example.org is blocked"]}},
        "is blocked",
    ),
    "sparkpost": Case(
        f"sparkpost://user@example.org/{KEY}/b@example.org",
        {"results": {"total_rejected_recipients": 0, "total_accepted_recipients": 1}},
        {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 0}},
        "total_rejected_recipients 1",
    ),
    "splunk": Case(
        f"splunk://ward@{'a' * 8}-0000-4000-8000-{'b' * 12}",
        {"result": "success", "entity_id": "1"},
        {"result": "failure", "message": "no such routing key"},
        "no such routing key",
    ),
    "spugpush": Case(
        f"spugpush://{'a' * 32}", {"code": 200, "msg": "ok"}, {"code": 204, "msg": "no such template"}, "204"
    ),
    "synology": Case(
        f"synology://nas.example/{KEY}",
        {"success": True},
        {"success": False, "error": {"code": 404, "errors": "invalid token"}},
        "invalid token",
    ),
    "telegram": Case(
        "tgram://123456789:abcdefg_hijklmnop/11111",
        {"ok": True, "result": {}},
        {"ok": False, "description": "Forbidden: bot was blocked by the user"},
        "bot was blocked",
    ),
    "telnyx": Case(
        f"telnyx://{KEY}@15551230009/{PHONE}",
        {"data": {"to": [{"status": "queued"}]}},
        {"data": {"to": [{"status": "sending_failed"}]}},
        "sending_failed",
    ),
    "twilio": Case(
        f"twilio://AC{HEX}:{HEX}@15551230009/{PHONE}",
        {"sid": "1", "status": "queued"},
        {"sid": "1", "status": "failed", "error_message": "unreachable"},
        "unreachable",
    ),
    "viber": Case(
        f"viber://{HEX}/{HEX[:24]}",
        {"status": 0, "status_message": "ok"},
        {"status": 6, "status_message": "notSubscribed"},
        "notSubscribed",
    ),
    "voipms": Case(
        f"voipms://pass:a@example.org/15551230009/{PHONE}",
        {"status": "success"},
        {"status": "invalid_did"},
        "invalid_did",
    ),
    "vonage": Case(
        f"vonage://{'a' * 8}:{'b' * 16}@15551230009/{PHONE}",
        {"message-count": "1", "messages": [{"status": "0"}]},
        {"message-count": "1", "messages": [{"status": "9", "error-text": "Quota exceeded"}]},
        "Quota exceeded",
    ),
    "wechat": Case(
        f"wechat://corp:{KEY}@1000002/anna",
        {"errcode": 0, "errmsg": "ok"},
        {"errcode": 0, "errmsg": "ok", "invaliduser": "anna"},
        "invaliduser",
        {"gettoken": {"errcode": 0, "access_token": "x", "expires_in": 7200}},
    ),
    "wecombot": Case(
        f"wecombot://{KEY}",
        {"errcode": 0, "errmsg": "ok"},
        {"errcode": 93000, "errmsg": "invalid webhook url"},
        "errcode 93000, invalid webhook url",
    ),
    "wpush": Case(
        f"wpush://WPUSH{'a' * 27}",
        {"code": 0, "message": "ok"},
        {"code": 401, "message": "no such key"},
        "no such key",
    ),
    "wxpusher": Case(
        "wxpusher://AT_appid/UID_anna",
        {"code": 1000, "data": [{"code": 1000}]},
        {"code": 1001, "msg": "no such UID"},
        "no such UID",
    ),
    "zulip": Case(
        f"zulip://bot@clinic/{'a' * 32}/ward",
        {"result": "success", "msg": ""},
        {"result": "error", "msg": "Stream does not exist"},
        "Stream does not exist",
    ),
}


def unlimited(server: NotifyBase) -> NotifyBase:
    """The plugin without its pauses between messages, and without a look at the certificate."""
    server.request_rate_per_sec = 0
    server.verify_certificate = False
    return server


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """All providers there are."""
    with stand_in(monkeypatch) as found:
        yield found


def outcome(path: Path, url: str, message: Message = MESSAGE) -> Outcome:
    """The outcome of a message to the one recipient of a URL."""
    file = path / "apprise.txt"
    file.write_text(f"coordinator={url}\n")
    [recipient] = Channels.from_config(file).of("coordinator")
    assert recipient.server, "the URL is usable"
    unlimited(recipient.server)
    return send(recipient, message, io.StringIO())


def answering(providers: StandIn, body: Any, logins: dict[str, Any]) -> None:
    def answer(path: str) -> tuple[int, str]:
        said = next((each for end, each in logins.items() if path.endswith(end)), body)
        return 200, said if isinstance(said, str) else json.dumps(said)

    providers.answer = answer


def test_every_plugin_of_apprise_has_been_looked_through() -> None:
    manager = NotificationManager()  # type: ignore[no-untyped-call]
    manager.load_modules()  # type: ignore[no-untyped-call]
    plugins = {type_.__module__.split(".")[2] for type_ in manager.plugins()}  # type: ignore[no-untyped-call]
    assert plugins == set(PROVIDERS), "each has a row in tasks/delivery/providers.py, and no row is left over"
    assert all(each.source for each in PROVIDERS.values())


def test_every_rule_for_an_answer_is_tried_here() -> None:
    assert {name for name, each in PROVIDERS.items() if each.answers} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_provider_that_says_in_its_answer_that_it_took_the_message_has_it(
    name: str, providers: StandIn, tmp_path: Path
) -> None:
    case = CASES[name]
    answering(providers, case.taken, case.logins)
    found = outcome(tmp_path, case.url)
    assert found == Outcome("sent"), found
    assert providers.asked


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_with_http_200_is_a_refusal_and_its_reason_is_told(
    name: str, providers: StandIn, tmp_path: Path
) -> None:
    case = CASES[name]
    answering(providers, case.refused, case.logins)
    found = outcome(tmp_path, case.url)
    assert found.kind == "failed", found
    assert case.why in str(found.error)


@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_says_neither_leaves_it_unknown(name: str, providers: StandIn, tmp_path: Path) -> None:
    case = CASES[name]
    answering(providers, "<html>Welcome to the hotel's network</html>", case.logins)
    found = outcome(tmp_path, case.url)
    assert found.kind == "unknown", found


@pytest.mark.parametrize(
    "body",
    [
        {"success": False},
        {"ok": "false"},
        {"status": "error", "message": "no"},
        {"error": {"code": 1}},
        {"errors": ["no"]},
        {"errcode": 40001},
    ],
)
def test_an_answer_that_speaks_of_a_failure_leaves_it_unknown_where_no_rule_is_known(
    body: dict[str, Any], providers: StandIn, tmp_path: Path
) -> None:
    providers.always(json.dumps(body))
    found = outcome(tmp_path, "json://hospital.example/notify")
    assert found.kind == "unknown"
    assert "speaks of a failure" in str(found.error)


@pytest.mark.parametrize(
    "body", ["", "ok", "[]", "null", '{"error": null}', '{"errors": []}', '{"status": 200}', "[" * 100_000]
)
def test_an_answer_that_speaks_of_no_failure_is_a_delivery_where_no_rule_is_known(
    body: str, providers: StandIn, tmp_path: Path
) -> None:
    providers.always(body)
    assert outcome(tmp_path, "json://hospital.example/notify") == Outcome("sent")


def test_a_message_of_which_a_part_is_refused_may_have_been_accepted_in_part(
    providers: StandIn, tmp_path: Path
) -> None:
    taken, refused = {"errcode": 0}, {"errcode": 130101, "errmsg": "send too fast"}
    providers.answer = lambda _: (200, json.dumps(refused if providers.asked[1:] else taken))
    long = Message("ITP-007", "a line of the body\n" * 4000)
    found = outcome(tmp_path, f"dingtalk://{KEY}/?overflow=split", long)
    assert len(providers.asked) > 1
    assert found.kind == "unknown"
    assert "send too fast, for a part of the message" in str(found.error)


@pytest.mark.parametrize("status", [403, 500])
def test_through_a_proxy_too_a_status_of_refusal_is_one(
    status: int, providers: StandIn, tmp_path: Path
) -> None:
    providers.always("", status)
    # A host's name that begins with h was once taken for a second request.
    found = outcome(tmp_path, f"slack://{'T' * 9}/{'B' * 9}/{'c' * 24}")
    assert found == Outcome("failed", f"the provider answered {status}")


def test_what_a_provider_says_is_told_without_the_secrets_of_the_url(
    providers: StandIn, tmp_path: Path
) -> None:
    providers.always(json.dumps({"errcode": 300001, "errmsg": f"token {KEY} is not exist"}))
    found = outcome(tmp_path, f"dingtalk://{KEY}/")
    assert KEY not in str(found)
    assert "token *** is not exist" in str(found.error)


def test_what_a_provider_says_is_one_line_of_visible_signs(providers: StandIn, tmp_path: Path) -> None:
    providers.always(json.dumps({"errcode": 1, "errmsg": "so\nlong \x1b[31m\u202e" * 1000}))
    found = str(outcome(tmp_path, f"dingtalk://{KEY}/").error)
    assert len(found) < 400
    assert found.isprintable(), "nothing in it commands a terminal or turns its signs around"


def test_a_notice_that_a_robot_refuses_is_sent_again_until_it_takes_it(
    desk: Desk, providers: StandIn, tmp_path: Path
) -> None:
    desk.configure(tmp_path / "apprise.txt", f"coordinator=dingtalk://{KEY}/13800000001/13800000002")
    [recipient] = desk.channels.configured
    assert recipient.server
    unlimited(recipient.server)
    desk.take(ReportedLate().enrol())
    providers.always(json.dumps({"errcode": 130101, "errmsg": "send too fast"}))
    desk.hand_over(ENROLLED_AT)
    assert desk.notice("INF1/T/coordinator").status == "queued"
    providers.always(json.dumps({"errcode": 0, "errmsg": "ok"}))
    desk.hand_over(later(ENROLLED_AT, minutes=1))
    assert desk.notice("INF1/T/coordinator").status == "delivered"
    told = [row for row in desk.attempts() if "INF1/T/coordinator" in row.notice]
    assert [row.outcome for row in told] == ["failed", "sent"]
    assert "errcode 130101, send too fast" in str(told[0].error)
    bodies = [asked.text for asked in providers.asked if "ITP-001" in asked.text]
    assert len(bodies) == 2, "one message for the group, whomever it mentions"
    assert not any("possibly repeated" in body for body in bodies)


@pytest.mark.parametrize("url", [f"opsgenie://{KEY}/@anna", f"jira://{KEY}/@anna"])
def test_an_alert_is_opened_and_one_that_never_left_is_no_delivery(
    url: str, providers: StandIn, tmp_path: Path
) -> None:
    providers.always(json.dumps({"result": "Request will be processed", "requestId": "1"}), 202)
    assert outcome(tmp_path, url) == Outcome("sent")
    assert len(providers.asked) == 1
    [recipient] = Channels.from_config(tmp_path / "apprise.txt").of("coordinator")
    server: Any = recipient.server
    # As Apprise has it: a note is added to open alerts, of which there are none.
    server.mapping = type(server).opsgenie_message_map if "opsgenie" in url else type(server).jira_message_map
    assert send(recipient, MESSAGE, io.StringIO()).kind == "failed"
    assert len(providers.asked) == 1


def test_a_plugin_that_nobody_has_looked_through_has_no_row() -> None:
    newer = type("NotifyNewer", (), {"__module__": "apprise.plugins.newer"})
    assert provider(newer()) is None
