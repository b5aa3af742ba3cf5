"""Each recipient of a URL gets a delivery of their own; who is only mentioned in a message gets none."""

import ast
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from apprise.manager_plugins import NotificationManager

from tasks.delivery.channels import Channels, Recipient
from tasks.delivery.providers import PROVIDERS
from tasks.delivery.sending import Message, send
from tests.tasks.delivery.stand_in import StandIn, stand_in
from tests.tasks.delivery.test_answers import CASES, HEX, KEY, unlimited

pytestmark = [
    pytest.mark.requirement("DLV-01"),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

UUID = f"{'a' * 8}-0000-4000-8000-{'b' * 12}"
ONE, TWO = "15551230001", "15551230002"
FROM = "15551230009"
ANNA, BEN = "anna@example.org", "ben@example.org"
PLAYER = "c7a2e35e-0000-4000-8000-000000000001"


class Several(NamedTuple):
    """A URL with several recipients, and the name of each in what is sent."""

    url: str
    each: tuple[str, ...]


def phones(url: str) -> Several:
    return Several(f"{url}/{ONE}/{TWO}", (ONE, TWO))


def mails(url: str) -> Several:
    return Several(f"{url}/{ANNA}/{BEN}", (ANNA, BEN))


SEVERAL = {
    "africas_talking": phones(f"atalk://user@{KEY}"),
    "bark": Several("barks://bark.example/phoneofanna/phoneofben", ("phoneofanna", "phoneofben")),
    "brevo": mails(f"brevo://{KEY}:from@example.org"),
    "bulksms": Several(f"bulksms://id:secret@{ONE}/{TWO}/@ward", (ONE, TWO, "ward")),
    "bulkvs": phones(f"bulkvs://user:pass@{FROM}"),
    "burstsms": phones(f"burstsms://{'a' * 8}:{'b' * 16}@{FROM}"),
    "clickatell": phones(f"clickatell://{KEY}"),
    "clicksend": phones("clicksend://user:pass@"),
    "d7networks": phones(f"d7sms://{KEY}@"),
    "dapnet": Several("dapnet://user:pass@DF1ABC/DF2ABC?txgroups=dl-all,at-all", ("DF1ABC", "DF2ABC")),
    "eight00com": phones(f"eight00com://{KEY}@{FROM}"),
    "evolution": phones(f"evolution://{KEY}@wa.example/instance"),
    "exotel": phones(f"exotel://{'s' * 20}:{'t' * 40}@{FROM}"),
    "fcm": Several(f"fcm://{KEY}/anna/ben", ("anna", "ben")),
    "flock": Several(f"flock://{KEY}/u:anna12345678/g:ward12345678", ("anna12345678", "ward12345678")),
    "fortysixelks": phones("46elks://user:pass@Acme"),
    "home_assistant": Several(f"hassios://ha.example/{KEY}?to=notify.anna/notify.ben", ("anna", "ben")),
    "httpsms": phones(f"httpsms://{KEY}@{FROM}"),
    "humhub": Several(f"humhubs://{KEY}@hub.example/101/202", ("101", "202")),
    "ifttt": Several(f"ifttt://{KEY}@book/tell", ("book", "tell")),
    "jira": Several(f"jira://{KEY}/@anna/@ben", ("anna", "ben")),
    "join": Several(f"join://{'a' * 32}/anna/ben", ("anna", "ben")),
    "kavenegar": phones(f"kavenegar://{KEY}"),
    "kook": Several(f"kook://{'t' * 40}/1234567890/@9876543210", ("1234567890", "9876543210")),
    "line": Several(f"line://{KEY}/{'U' + 'a' * 32}/{'U' + 'b' * 32}", ("a" * 32, "b" * 32)),
    "mailersend": mails(f"mailersend://mlsn.{'a' * 64}:from@example.org"),
    "mailgun": mails(f"mailgun://from@example.org/{'a' * 32}-{'b' * 8}-{'c' * 8}"),
    "mastodon": Several(f"toots://{KEY}@m.example/@anna/@ben?visibility=direct", ("@anna", "@ben")),
    "mattermost": Several(f"mmosts://mm.example/{'a' * 26}?channels=ward,clinic", ("ward", "clinic")),
    "messagebird": phones(f"msgbird://{'a' * 25}/{FROM}"),
    "mobilemessage": Several("mobilemessage://user:pass@Acme/61412345678/61412345679", ("5678", "5679")),
    "msg91": phones(f"msg91://{'t' * 24}@{'a' * 23}"),
    "nextcloud": Several("nclouds://user:pass@cloud.example/anna/ben", ("anna", "ben")),
    "nextcloudtalk": Several("nctalks://user:pass@cloud.example/rooma/roomb", ("rooma", "roomb")),
    "notifiarr": Several(f"notifiarr://{KEY}/#111222/#333444", ("111222", "333444")),
    "notifyre": phones(f"notifyre://{KEY}"),
    "ntfy": Several("ntfys://ntfy.example/anna/ben?tags=warning,skull", ("anna", "ben")),
    "octopush": phones(f"octopush://login@example.org/{KEY}"),
    "one_signal": Several(
        f"onesignal://{UUID}@{KEY}/{PLAYER}/@anna/#ward/{BEN}", (PLAYER, "anna", "ward", BEN)
    ),
    "opsgenie": Several(f"opsgenie://{KEY}/@anna/@ben?tags=a,b", ("anna", "ben")),
    "pingram": mails(f"pingram://pingram_sk_{KEY}"),
    "plivo": phones(f"plivo://{'a' * 25}@{'b' * 40}/{FROM}"),
    "postmark": mails(f"postmark://{UUID}:from@example.org"),
    "pushbullet": Several(f"pbul://{KEY}/anna/ben", ("anna", "ben")),
    "pushed": Several(f"pushed://{'a' * 32}/{'b' * 64}/#ward/@anna", ("ward", "anna")),
    "pushover": Several(f"pover://{'u' * 30}@{'t' * 30}/anna/ben/#{'g' * 30}", ("anna,ben", "g" * 30)),
    "pushplus": Several(f"pushplus://{'a' * 32}/topica/topicb", ("topica", "topicb")),
    "pushsafer": Several(f"psafer://{'a' * 20}/12/34", ("12", "34")),
    "pushy": Several(f"pushy://{KEY}/@anna/#ward", ("anna", "ward")),
    "reddit": Several(f"reddit://user:pass@{'a' * 14}/{'b' * 27}/clinic/ward", ("clinic", "ward")),
    "resend": mails(f"resend://{KEY}:from@example.org"),
    "revolt": Several(f"revolt://{KEY}/{'A' * 26}/{'B' * 26}", ("A" * 26, "B" * 26)),
    "ringcentral": phones(f"ringc://{FROM}:pass@{'a' * 16}/{'b' * 20}"),
    "rocketchat": Several(f"rockets://{'a' * 24}/{'b' * 24}@chat.example/#ward/@anna", ("ward", "anna")),
    "sendgrid": mails(f"sendgrid://{KEY}:from@example.org"),
    "sendpulse": mails(f"sendpulse://from@example.org/{'a' * 14}/{'b' * 14}"),
    "serwersms": Several(f"serwersms://user:pass@Acme/{ONE}/%23123456", (ONE, "123456")),
    "ses": mails(f"ses://from@example.org/{'A' * 20}/{'b' * 40}/us-west-2"),
    "seven": phones(f"seven://{KEY}"),
    "sfr": phones("sfr://user:pass@space"),
    "signal_api": phones(f"signals://signal.example/{FROM}"),
    "signalgrid": Several(f"signalgrid://{KEY}/warda/wardb", ("warda", "wardb")),
    "simplepush": Several(f"spush://{KEY}/anna/ben", ("anna", "ben")),
    "sinch": phones(f"sinch://{'a' * 32}:{'b' * 32}@{FROM}"),
    "slack": Several(f"slack://{'T' * 9}/{'B' * 9}/{'c' * 24}/#ward/@anna", ("ward", "anna")),
    "smsc": phones("smsc://user:pass@"),
    "smseagle": Several(f"smseagle://{KEY}@eagle.example/{ONE}/@anna/#ward", (ONE, "anna", "ward")),
    "smsmanager": phones(f"smsmgr://{KEY}@"),
    "smtp2go": mails(f"smtp2go://user@example.org/{KEY}"),
    "sns": Several(f"sns://{'A' * 20}/{'b' * 40}/us-east-1/{ONE}/topic", (ONE, "topic")),
    "sogs": Several(f"sogs://{HEX * 2}:{HEX * 2}@open.example/rooma/roomb", ("rooma", "roomb")),
    "sparkpost": mails(f"sparkpost://user@example.org/{KEY}"),
    "telegram": Several("tgram://123456789:abcdefg_hijklmnop/11111/22222", ("11111", "22222")),
    "telnyx": phones(f"telnyx://{KEY}@{FROM}"),
    "threema": Several(f"threema://*GATEWAY@{'s' * 16}/ABCD1234/{ONE}", ("ABCD1234", ONE)),
    "trigv": Several(f"trigvs://trgv_{'a' * 8}_{'b' * 32}/warda/wardb", ("warda", "wardb")),
    "twilio": phones(f"twilio://AC{HEX}:{HEX}@{FROM}"),
    "twitter": Several(f"twitter://{KEY}/{KEY}/{KEY}/{KEY}/anna/benn?mode=dm", ("anna", "benn")),
    "viber": Several(f"viber://{HEX}/{'a' * 24}/{'b' * 24}", ("a" * 24, "b" * 24)),
    "voipms": Several(f"voipms://pass:a@example.org/{FROM}/{ONE}/{TWO}", (ONE[1:], TWO[1:])),
    "vonage": phones(f"vonage://{'a' * 8}:{'b' * 16}@{FROM}"),
    "webexteams": Several(f"wxteams://{'a' * 64}/rooma/roomb", ("rooma", "roomb")),
    "wechat": Several(f"wechat://corp:{KEY}@1000002/anna/ben/#22/+33", ("anna", "ben", "22", "33")),
    "whatsapp": phones(f"whatsapp://{KEY}@{'1' * 14}"),
    "wpush": Several(f"wpush://WPUSH{'a' * 27}/topica/topicb", ("topica", "topicb")),
    "wxpusher": Several("wxpusher://AT_appid/UID_anna/123", ("UID_anna", "123")),
    "zulip": Several(f"zulip://bot@org/{'a' * 32}/ward/anna@example.org", ("ward", ANNA)),
}
# Plugins that log in first, or speak something else than HTTP: looked at without sending.
UNSENT = {
    "aprs": Several("aprs://DF1ABC:12345@DF2ABC/DF3ABC", ("DF2ABC", "DF3ABC")),
    "deltachat": Several(f"deltachats://user:pass@example.org/{ANNA}/{BEN}", (ANNA, BEN)),
    "email": Several(f"mailtos://user:pass@example.org?to={ANNA},{BEN}", (ANNA, BEN)),
    "irc": Several("ircs://user:pass@irc.example/#ward/@anna", ("ward", "anna")),
    "matrix": Several("matrixs://user:pass@m.example/!room:m.example/@anna:m.example", ("room", "anna")),
    "office365": Several(f"azure://from@example.org/{UUID}/{UUID}/{'s' * 30}/{ANNA}/{BEN}", (ANNA, BEN)),
    "twist": Several("twist://pass:user@example.org/1:11111/%23ward", ("11111", "ward")),
}
# Plugins that need a package which is not installed, and one that needs key files.
UNTRIED = {"mqtt", "smpp", "xmpp", "vapid"}

# One URL, one message: whoever else is named in it is mentioned only.
MENTIONED = {
    "dingtalk": f"dingtalk://{KEY}/13800000001/13800000002?to=13800000003",
    "discord": f"discord://{'1' * 18}/{'t' * 60}?ping=@here,@anna,@ben&thread=123456",
    "fluxer": f"fluxer://{'1' * 18}/{'t' * 60}?ping=@here,@anna",
    "guilded": f"guilded://{UUID}/{'t' * 60}?ping=@anna,@ben",
    "mastodon": f"toots://{KEY}@m.example/@anna/@ben?visibility=public&ping=@anna,@ben",
    "twitter": f"twitter://{KEY}/{KEY}/{KEY}/{KEY}/anna/benn?mode=tweet",
    "wecombot": f"wecombot://{KEY}",
    "feishu": f"feishu://{KEY}",
    "lark": f"lark://{KEY}",
    "google_chat": "gchat://space/key/token?thread=abc",
    "apprise_api": f"apprises://apprise.example/{KEY}?tags=ward,anna",
    "pushover": f"pover://{'u' * 30}@{'t' * 30}/phone/tablet",
    "parseplatform": "parseps://app:master@parse.example",
    "pagertree": f"pagertree://int_{'a' * 10}?tags=a,b",
    "ntfy": "ntfys://ntfy.example/ward?xtags=a,b",
    "slack": f"slack://{'T' * 9}/{'B' * 9}/{'c' * 24}",
    "workflows": f"workflow://host.example/{'a' * 20}/{'s' * 20}",
}

# A message that reaches several people at once, of whom nobody could tell who got it.
CROWDS = {
    "email": f"mailtos://user:pass@example.org?to={ANNA}&cc={BEN}",
    "brevo": f"brevo://{KEY}:from@example.org/{ANNA}?bcc={BEN}",
    "nextcloud": "nclouds://user:pass@cloud.example/%23nurses",
}


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """All providers there are."""
    with stand_in(monkeypatch) as found:
        yield found


def recipients(path: Path, url: str) -> list[Recipient]:
    file = path / "apprise.txt"
    file.write_text(f"coordinator={url}\n")
    return list(Channels.from_config(file).configured)


def test_every_plugin_with_several_recipients_is_tried_here() -> None:
    several = {name for name, row in PROVIDERS.items() if row.people}
    assert several == SEVERAL.keys() | UNSENT.keys() | UNTRIED


@pytest.mark.parametrize("name", SEVERAL)
def test_each_recipient_gets_one_message_and_nobody_elses(
    name: str, providers: StandIn, tmp_path: Path
) -> None:
    case, answer = SEVERAL[name], CASES.get(name)
    body = answer.taken if answer else ""
    logins = answer.logins if answer else {}

    def say(path: str) -> tuple[int, str]:
        said = next((each for end, each in logins.items() if path.endswith(end)), body)
        return 200, said if isinstance(said, str) else json.dumps(said)

    providers.answer = say
    found = recipients(tmp_path, case.url)
    assert len(found) == len(case.each) == len({each.id for each in found}), [each.label for each in found]
    told: list[str] = []
    for each in found:
        providers.asked.clear()
        assert each.server
        unlimited(each.server)
        send(each, Message("t", "b"), io.StringIO())
        texts = [unquote(asked.text) for asked in providers.asked]
        told += [name for text in texts for name in case.each if name in text]
        assert len([text for text in texts if any(name in text for name in case.each)]) == 1, texts
    assert sorted(told) == sorted(case.each)


@pytest.mark.parametrize("name", UNSENT)
def test_each_recipient_has_an_address_of_their_own(name: str, tmp_path: Path) -> None:
    case = UNSENT[name]
    found = recipients(tmp_path, case.url)
    assert len(found) == len(case.each)
    urls = [unquote(str(each.server.url(privacy=False))) for each in found if each.server]  # type: ignore[no-untyped-call]
    assert sorted(each for url in urls for each in case.each if each in url) == sorted(case.each), urls


@pytest.mark.parametrize("name", MENTIONED)
def test_who_is_mentioned_gets_no_message_of_their_own(name: str, tmp_path: Path) -> None:
    [recipient] = recipients(tmp_path, MENTIONED[name])
    assert type(recipient.server).__module__.split(".")[2] == name


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "apprise.txt"
    file.write_text(f"coordinator={CROWDS[name]}\n")
    channels = Channels.from_config(file)
    assert not channels.configured
    assert any("reaches several recipients at once" in each for each in channels.problems)


def test_the_mobile_numbers_of_a_dingtalk_robot_are_mentioned_in_its_one_message(
    providers: StandIn, tmp_path: Path
) -> None:
    providers.always('{"errcode": 0}')
    [robot] = recipients(tmp_path, f"dingtalk://{KEY}/13800000001/13800000002")
    assert robot.server
    unlimited(robot.server)
    send(robot, Message("t", "b"), io.StringIO())
    [asked] = providers.asked
    assert "13800000001" in asked.text
    assert "13800000002" in asked.text


# Lists of a plugin that have nothing to do with whom it tells.
NEUTRAL = {
    *("headers", "params", "tokens", "names", "registry", "invalid_targets", "_invalid_targets", "data"),
    *("payload_overrides", "payload_extras", "meta_extras", "data_kwargs", "details", "custom_data"),
    *("postback_data", "badges", "level_map", "priority_map", "template_mapping", "components"),
    *(
        "component_keys",
        "add_tokens",
        "del_tokens",
        "workflow_path",
        "subscriptions",
        "invalid_rooms",
        "_keys",
    ),
    *("_lookup_users", "_user_cache", "_cached_channels", "_cached_workspaces", "__cached_users", "mapping"),
    *("short_url", "include_image", "use_wkd", "inline", "broadcast", "shared", "hq", "critical", "call"),
    *("reply_to", "from_addr", "payload_map", "_re_formatting_map"),
}


def lists(module: str) -> set[str]:
    """The attributes that a plugin's makers set to a list, a set or a dictionary."""
    found = set()
    file = str(sys.modules[module].__file__)
    for function in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            for node in ast.walk(function):
                if isinstance(node, ast.Assign | ast.AnnAssign) and _is_list(node.value):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    found |= {each.attr for each in targets if isinstance(each, ast.Attribute)}
    return found


def _is_list(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in {"set", "list", "dict", "parse_list"}
    return isinstance(value, ast.List | ast.Set | ast.Dict)


def test_every_list_of_every_plugin_is_judged() -> None:
    manager = NotificationManager()  # type: ignore[no-untyped-call]
    manager.load_modules()  # type: ignore[no-untyped-call]
    unjudged = {}
    for plugin in manager.plugins():  # type: ignore[no-untyped-call]
        row = PROVIDERS[plugin.__module__.split(".")[2]]
        judged = {*row.people, *row.together, *row.crowds, *row.named}
        left = lists(plugin.__module__) - {each.partition(".")[0] for each in judged} - NEUTRAL
        if left:
            unjudged[plugin.__module__] = left
    assert not unjudged
