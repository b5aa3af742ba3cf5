"""The providers that Apprise speaks to: whom one URL reaches, and what an answer of the provider means.

One row for each plugin of Apprise, looked through in its source and its provider's documentation. A test
fails when Apprise has a plugin without a row. For a plugin without one, `targets` are taken for people, and
an answer that speaks of a failure leaves the outcome open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.delivery.answers import Answer, Check, Filled, Lacks, Not, Says, Silent, Text


@dataclass(frozen=True, slots=True)
class Provider:
    """A plugin of Apprise.

    `people` are the attributes of the plugin that list recipients, each of whom gets a delivery of their own;
    `targets.emails` is a list inside a dictionary. `only` is the mode (attribute and value) in which they are
    told at all. `together` are lists that reach one recipient as a whole, such as the devices of one person.
    `crowds` are lists that nobody outside can take apart. `named` are lists of people, tags or labels that
    one message mentions: they get no message of their own.

    `alert` is the action that opens an alert, where the plugin would only add a notice to an open one and do
    nothing when there is none.

    `answers` say what an answer with HTTP 200 means where its body tells more; without any, the status tells.
    `source` is where that is documented.
    """

    source: str
    answers: tuple[Answer, ...] = ()
    people: tuple[str, ...] = ()
    only: tuple[str, str] | None = None
    together: tuple[str, ...] = ()
    crowds: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    alert: str | None = None


_TARGETS = ("targets",)
_COPIES = ("cc", "bcc")


def _by(*checks: Check, why: str = "", at: str = "") -> tuple[Answer, ...]:
    return (Answer(checks, why, at),)


def _is(path: str, *ok: object, why: str = "", at: str = "") -> tuple[Answer, ...]:
    return _by(Says(path, ok), why=why, at=at)


# By the name of the plugin's module.
PROVIDERS: Mapping[str, Provider] = {
    "africas_talking": Provider(
        "https://developers.africastalking.com/docs/sms/sending/bulk",
        _is(
            "SMSMessageData.Recipients[].statusCode", 100, 101, 102, why="SMSMessageData.Recipients[].status"
        ),
        _TARGETS,
    ),
    "apprise_api": Provider("https://github.com/caronc/apprise-api", named=("__tags",)),
    "aprs": Provider("https://www.aprs-is.net/Connecting.aspx", people=_TARGETS),
    "bark": Provider("https://github.com/Finb/bark-server/blob/master/docs/API_V2.md", people=_TARGETS),
    "blink1": Provider("https://blink1.thingm.com/"),
    "bluesky": Provider("https://docs.bsky.app/docs/api/com-atproto-repo-create-record"),
    "brevo": Provider(
        "https://developers.brevo.com/reference/sendtransacemail", (), _TARGETS, crowds=_COPIES
    ),
    "bulksms": Provider(
        "https://www.bulksms.com/developer/json/v1/#tag/Message",
        _by(Not("[].status.type", ("FAILED",)), why="[].status.subtype"),
        ("targets", "groups"),
    ),
    "bulkvs": Provider(
        "https://portal.bulkvs.com/api/v1.0/documentation", _is("Results[].Status", "SUCCESS"), _TARGETS
    ),
    "burstsms": Provider(
        "https://developer.transmitsms.com/", _is("error.code", "SUCCESS", why="error.description"), _TARGETS
    ),
    "chanify": Provider("https://github.com/chanify/chanify"),
    "chime": Provider("https://docs.aws.amazon.com/chime/latest/ug/webhooks.html"),
    "clickatell": Provider(
        "https://docs.clickatell.com/channels/sms-channels/sms-api-reference/",
        _is("messages[].accepted", True, why="messages[].error"),
        _TARGETS,
    ),
    "clicksend": Provider(
        "https://developers.clicksend.com/docs/rest/v3/",
        _by(
            Says("response_code", ("SUCCESS",)),
            Says("data.messages[].status", ("SUCCESS",)),
            why="response_msg",
        ),
        _TARGETS,
    ),
    "custom_form": Provider("the endpoint is the user's own"),
    "custom_json": Provider("the endpoint is the user's own"),
    "custom_xml": Provider("the endpoint is the user's own"),
    "d7networks": Provider(
        "https://d7networks.com/docs/Messages/Send_Message/",
        _is("status", "accepted", why="detail"),
        _TARGETS,
    ),
    "dapnet": Provider(
        "https://hampager.de/dokuwiki/doku.php#dapnet_api", people=_TARGETS, named=("txgroups",)
    ),
    "dbus": Provider("https://specifications.freedesktop.org/notification-spec/"),
    "deltachat": Provider("https://github.com/deltachat/spec", people=_TARGETS, crowds=_COPIES),
    "dingtalk": Provider(
        "https://open.dingtalk.com/document/orgapp/custom-robot-access",
        _is("errcode", 0, why="errmsg"),
        # A robot speaks to its group; the mobile numbers are mentioned there.
        named=_TARGETS,
    ),
    "discord": Provider("https://discord.com/developers/docs/resources/webhook", named=("ping",)),
    "dot": Provider("https://dot.mindreset.tech/docs/service/open/text_api"),
    "eight00com": Provider("https://api.800.com/docs", people=_TARGETS),
    "email": Provider("RFC 5321", people=_TARGETS, crowds=_COPIES, named=("reply_to",)),
    "emby": Provider("https://github.com/MediaBrowser/Emby/wiki/Remote-control"),
    "enigma2": Provider(
        "https://github.com/E2OpenPlugins/e2openplugin-OpenWebif/wiki/OpenWebif-API-documentation",
        _is("result", True, why="message"),
    ),
    "evolution": Provider("https://doc.evolution-api.com/", people=("phone",)),
    "exotel": Provider(
        "https://developer.exotel.com/api/sms",
        _by(Lacks(r"(?i)<Status>\s*failed")),
        _TARGETS,
    ),
    "fcm": Provider(
        "https://firebase.google.com/docs/cloud-messaging/http-server-ref",
        _by(Silent("failure"), Silent("error"), Silent("results[].error"), at=r"/fcm/send"),
        _TARGETS,
    ),
    "feishu": Provider(
        "https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
        _is("code|StatusCode", 0, why="msg|StatusMessage"),
    ),
    "flock": Provider("https://dev.flock.com/webhooks/incoming", people=_TARGETS),
    "flowtriq": Provider("https://flowtriq.com"),
    "fluxer": Provider("https://docs.fluxer.app/http-api/messages/", named=("ping",)),
    "fortysixelks": Provider(
        "https://46elks.com/docs/send-sms", _by(Not("status", ("failed",))), people=_TARGETS
    ),
    "freemobile": Provider("https://mobile.free.fr/"),
    "glib": Provider("https://specifications.freedesktop.org/notification-spec/"),
    "gnome": Provider("https://specifications.freedesktop.org/notification-spec/"),
    "google_chat": Provider("https://developers.google.com/workspace/chat/quickstart/webhooks"),
    "gotify": Provider("https://gotify.net/api-docs"),
    "groupme": Provider("https://dev.groupme.com/tutorials/bots"),
    "growl": Provider("http://growl.info/"),
    "guilded": Provider("https://discord.com/developers/docs/resources/webhook", named=("ping",)),
    "home_assistant": Provider("https://developers.home-assistant.io/docs/api/rest/", people=_TARGETS),
    "httpsms": Provider("https://api.httpsms.com/", people=_TARGETS),
    "humhub": Provider("https://marketplace.humhub.com/module/rest/docs/html/post.html", people=_TARGETS),
    "ifttt": Provider("https://ifttt.com/maker_webhooks", people=("events",)),
    "irc": Provider("https://ircv3.net/", people=("channels", "users"), named=_TARGETS),
    "jellyfin": Provider("https://api.jellyfin.org/"),
    "jira": Provider(
        "https://developer.atlassian.com/cloud/jira/service-desk-ops/",
        people=_TARGETS,
        named=("__tags",),
        alert="new",
    ),
    "join": Provider("https://joaoapps.com/join/api/", _is("success", True, why="errorMessage"), _TARGETS),
    "kavenegar": Provider(
        "https://kavenegar.com/rest.html", _is("return.status", 200, why="return.message"), _TARGETS
    ),
    "kodi": Provider(
        "https://kodi.wiki/view/JSON-RPC_API",
        _by(Silent("error"), Says("result", ("OK",)), why="error.message"),
    ),
    "kook": Provider(
        "https://developer.kookapp.cn/doc/reference", _is("code", 0, why="message"), ("channels", "dm_users")
    ),
    "kumulos": Provider("https://docs.kumulos.com/messaging/api/#sending-in-app-messages"),
    "lametric": Provider("https://lametric-documentation.readthedocs.io/"),
    "lark": Provider(
        "https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot",
        _is("code|StatusCode", 0, why="msg|StatusMessage"),
    ),
    "lauther": Provider("https://lauther.app/docs.html"),
    "line": Provider("https://developers.line.biz/en/reference/messaging-api/", people=_TARGETS),
    "macosx": Provider("https://github.com/julienXX/terminal-notifier"),
    "mailersend": Provider(
        # A recipient on a suppression list is answered with 202 and a warning.
        "https://developers.mailersend.com/api/v1/email.html",
        _by(Not("warnings[].type", ("ALL_SUPPRESSED", "SOME_SUPPRESSED")), why="warnings[].type"),
        _TARGETS,
        crowds=_COPIES,
    ),
    "mailgun": Provider(
        "https://documentation.mailgun.com/docs/mailgun/api-reference/", people=_TARGETS, crowds=_COPIES
    ),
    "mastodon": Provider(
        "https://docs.joinmastodon.org/methods/statuses/",
        people=_TARGETS,
        only=("visibility", "direct"),
        named=("ping", "hashtags"),
    ),
    "matrix": Provider("https://spec.matrix.org/v1.11/client-server-api/", people=("rooms", "users")),
    "mattermost": Provider("https://developers.mattermost.com/integrate/webhooks/incoming/", people=_TARGETS),
    "messagebird": Provider(
        "https://developers.messagebird.com/api/sms-messaging/",
        _by(Not("recipients.items[].status", ("delivery_failed", "expired"))),
        _TARGETS,
    ),
    "misskey": Provider("https://misskey-hub.net/en/docs/for-developers/api/"),
    "mobilemessage": Provider(
        "https://mobilemessage.com.au/api-documentation",
        _by(Says("status", ("complete",)), Says("results[].status", ("success",)), why="results[].error"),
        _TARGETS,
    ),
    "mqtt": Provider("https://mqtt.org/mqtt-specification/", people=("topics",)),
    "msg91": Provider(
        "https://docs.msg91.com/reference/send-sms", _is("type", "success", why="message"), _TARGETS
    ),
    "nextcloud": Provider(
        "https://docs.nextcloud.com/server/latest/developer_manual/client_apis/OCS/ocs-api-overview.html",
        _is("ocs.meta.status", "ok", why="ocs.meta.message", at="notifications"),
        _TARGETS,
        # A group is taken apart by the plugin itself, into as many requests as it has members.
        crowds=("groups",),
    ),
    "nextcloudtalk": Provider("https://nextcloud-talk.readthedocs.io/en/latest/chat/", people=_TARGETS),
    "notica": Provider("https://notica.us/"),
    "notifiarr": Provider(
        "https://notifiarr.wiki/", people=("targets.channels",), named=("targets.invalid",)
    ),
    "notifico": Provider("https://github.com/notifico/notifico"),
    "notifyre": Provider("https://docs.notifyre.com/", _is("success", True, why="message"), _TARGETS),
    "ntfy": Provider("https://docs.ntfy.sh/publish/", people=("topics",), named=("__tags",)),
    "octopush": Provider(
        "https://dev.octopush.com/en/sms-gateway-api-documentation/send-sms/", people=_TARGETS
    ),
    "office365": Provider(
        "https://learn.microsoft.com/graph/api/user-sendmail",
        people=_TARGETS,
        crowds=_COPIES,
        named=("reply_to",),
    ),
    "one_signal": Provider(
        # Nobody subscribed: 200 with an empty id, or with errors.
        "https://documentation.onesignal.com/reference/create-message",
        _by(Silent("errors"), Filled("id"), why="errors[]|errors"),
        (
            "targets.include_player_ids",
            "targets.include_email_tokens",
            "targets.include_external_user_ids",
            "targets.included_segments",
        ),
    ),
    "opsgenie": Provider(
        "https://docs.opsgenie.com/docs/alert-api", people=_TARGETS, named=("__tags",), alert="new"
    ),
    "pagerduty": Provider("https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"),
    "pagertree": Provider("https://pagertree.com/docs/integration-guides/webhook", named=("__tags",)),
    "parseplatform": Provider(
        "https://docs.parseplatform.org/rest/guide/#push-notifications", together=("devices",)
    ),
    "pinglet": Provider("https://pinglet.co.uk/"),
    "pingram": Provider(
        "https://www.pingram.io/docs/api-reference",
        people=_TARGETS,
        crowds=_COPIES,
        named=("reply_to", "channels"),
    ),
    "plivo": Provider("https://www.plivo.com/docs/messaging/api/message/", people=_TARGETS),
    "postmark": Provider(
        "https://postmarkapp.com/developer/api/overview#error-codes",
        _is("ErrorCode", 0, why="Message"),
        _TARGETS,
        crowds=_COPIES,
        named=("reply_to",),
    ),
    "prowl": Provider("https://www.prowlapp.com/api.php"),
    "pushbullet": Provider("https://docs.pushbullet.com/", people=_TARGETS),
    "pushdeer": Provider("https://github.com/easychen/pushdeer", _is("code", 0, why="error")),
    "pushed": Provider("https://about.pushed.co/docs/api", people=("channels", "users")),
    "pushjet": Provider("http://docs.pushjet.io/", _is("status", "ok", why="error.message")),
    "pushme": Provider("https://push.i-i.me/docs/index", _by(Text("success"))),
    "pushover": Provider(
        # The devices are those of one person, and share one request; each group is a recipient.
        "https://pushover.net/api#response",
        _is("status", 1, why="errors[]"),
        ("groups",),
        together=("devices",),
    ),
    "pushplus": Provider(
        "https://www.pushplus.plus/doc/guide/api.html", _is("code", 200, why="msg"), ("topics",)
    ),
    "pushsafer": Provider("https://www.pushsafer.com/en/pushapi", _is("status", 1, why="error"), _TARGETS),
    "pushward": Provider("https://pushward.app/docs/api"),
    "pushy": Provider(
        "https://pushy.me/docs/api/send-notifications",
        _is("success", True, why="error"),
        ("devices", "topics"),
    ),
    "qq": Provider("https://qmsg.zendee.cn/api", _is("success", True, why="reason")),
    "reddit": Provider(
        "https://github.com/reddit-archive/reddit/wiki/API",
        _by(Silent("json.errors"), at=r"/api/submit"),
        ("subreddits",),
    ),
    "resend": Provider(
        "https://resend.com/docs/api-reference/emails/send-email",
        people=_TARGETS,
        crowds=_COPIES,
        named=("reply_to",),
    ),
    "revolt": Provider("https://developers.revolt.chat/", people=_TARGETS),
    "ringcentral": Provider(
        "https://developers.ringcentral.com/api-reference/SMS/createSMSMessage",
        _by(Not("messageStatus", ("SendingFailed", "DeliveryFailed")), at=r"/(sms|mms)$"),
        _TARGETS,
    ),
    "rocketchat": Provider(
        "https://developer.rocket.chat/apidocs/post-message",
        _is("success", True, why="error", at=r"chat\.postMessage|/hooks/"),
        ("channels", "rooms", "users"),
    ),
    "rsyslog": Provider("RFC 5424"),
    "ryver": Provider("https://api.ryver.com/"),
    "sendgrid": Provider(
        "https://www.twilio.com/docs/sendgrid/api-reference/mail-send", people=_TARGETS, crowds=_COPIES
    ),
    "sendpulse": Provider(
        "https://sendpulse.com/integrations/api/smtp",
        _is("result", True, why="message", at=r"/smtp/emails"),
        _TARGETS,
        crowds=_COPIES,
    ),
    "serverchan": Provider("https://sct.ftqq.com/", _is("code|errno", 0, why="message|errmsg")),
    "serwersms": Provider(
        "https://apiv2.serwersms.pl/",
        _is("success", True, why="error.message"),
        ("target_phones", "target_groups"),
    ),
    "ses": Provider(
        "https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html",
        people=_TARGETS,
        crowds=_COPIES,
    ),
    # 101 says that one recipient at least was not reached. An answer of plain text is the code alone.
    "seven": Provider("https://docs.seven.io/en/rest-api/endpoints/sms", _is("success|", 100), _TARGETS),
    "sfr": Provider(
        "https://www.dmc.sfr-sh.fr/DmcWS/1.5.8/JsonService/",
        _is("success", True, why="errorDetail"),
        _TARGETS,
    ),
    "signal_api": Provider("https://bbernhard.github.io/signal-cli-rest-api/", people=_TARGETS),
    "signalgrid": Provider("https://docs.signalgrid.co/api/push-api/", people=_TARGETS),
    "signl4": Provider("https://docs.signl4.com/integrations/webhook/webhook.html"),
    "simplepush": Provider("https://simplepu.sh/guide/curl", people=("topics", "members")),
    "sinch": Provider("https://developers.sinch.com/docs/sms/api-reference/", people=_TARGETS),
    "slack": Provider(
        # A workflow's answer may be empty; a webhook says ok.
        "https://docs.slack.dev/apis/web-api/#responses",
        (
            Answer((Says("ok", (True,)),), "error", r"/api/chat\.postMessage"),
            Answer((Text("ok"),), "", r"/services/"),
        ),
        ("channels",),
    ),
    "smpp": Provider("https://smpp.org/", people=_TARGETS),
    "smsc": Provider(
        "https://smsc.ru/api/http/send/", _by(Silent("error_code"), Filled("id"), why="error"), _TARGETS
    ),
    "smseagle": Provider(
        "https://www.smseagle.eu/docs/apiv1/",
        _is("result[].status|result.status", "ok", why="result[].error_text|result.error_text|result"),
        ("target_phones", "target_groups", "target_contacts"),
    ),
    "smsmanager": Provider("https://smsmanager.cz/api/http#send", _by(Text("OK")), _TARGETS),
    "smtp2go": Provider(
        "https://developers.smtp2go.com/reference/send-standard-email",
        _is("data.failed", 0, why="data.failures[]|data.error"),
        _TARGETS,
        crowds=_COPIES,
    ),
    "sns": Provider(
        "https://docs.aws.amazon.com/sns/latest/api/API_Publish.html", people=("phone", "topics")
    ),
    "sogs": Provider("https://github.com/session-foundation/session-pysogs", people=("rooms",)),
    "sparkpost": Provider(
        "https://developers.sparkpost.com/api/transmissions/",
        _is("results.total_rejected_recipients", 0),
        _TARGETS,
        crowds=_COPIES,
    ),
    "spike": Provider("https://docs.spike.sh/alerts/send-alerts-to-spike"),
    "splunk": Provider(
        "https://help.victorops.com/knowledge-base/rest-endpoint-integration-guide/",
        _is("result", "success", why="message"),
    ),
    "spugpush": Provider("https://push.spug.cc/guide/", _is("code", 200, why="msg")),
    "stackfield": Provider("https://www.stackfield.com/developer-api"),
    "streamlabs": Provider("https://dev.streamlabs.com/reference/alerts-1"),
    "synology": Provider(
        "https://kb.synology.com/en-global/DSM/help/Chat/chat_integration",
        _is("success", True, why="error.errors|error.code"),
    ),
    "syslog": Provider("RFC 5424"),
    "techuluspush": Provider("https://pushtechulus.docs.apiary.io"),
    "telegram": Provider(
        "https://core.telegram.org/bots/api#making-requests",
        _is("ok", True, why="description", at=r"/send\w+$"),
        _TARGETS,
    ),
    "telnyx": Provider(
        "https://developers.telnyx.com/api-reference/messages/send-a-message",
        _by(Not("data.to[].status", ("sending_failed", "delivery_failed"))),
        _TARGETS,
    ),
    "threema": Provider("https://gateway.threema.ch/en/developer/api", people=_TARGETS),
    "trigv": Provider("https://trigv.com/docs", people=_TARGETS),
    "twilio": Provider(
        "https://www.twilio.com/docs/messaging/api/message-resource",
        _by(Not("status", ("failed", "undelivered", "canceled")), why="error_message"),
        _TARGETS,
    ),
    "twist": Provider("https://developer.twist.com/v3/", people=("channels", "channel_ids")),
    "twitter": Provider(
        "https://docs.x.com/x-api/direct-messages/manage/quickstart", people=_TARGETS, only=("mode", "dm")
    ),
    "vapid": Provider("RFC 8030", people=_TARGETS),
    "viber": Provider(
        "https://creators.viber.com/docs/bots-api/", _is("status", 0, why="status_message"), _TARGETS
    ),
    "voipms": Provider("https://voip.ms/m/apidocs.php", _is("status", "success"), _TARGETS),
    "vonage": Provider(
        "https://developer.vonage.com/messaging/sms/guides/troubleshooting-sms",
        _is("messages[].status", 0, why="messages[].error-text"),
        _TARGETS,
    ),
    "webexteams": Provider(
        "https://developer.webex.com/docs/api/v1/messages/create-a-message", people=_TARGETS
    ),
    "wechat": Provider(
        # Recipients that the application may not reach are named beside errcode 0.
        "https://developer.work.weixin.qq.com/document/path/90236",
        _by(
            Says("errcode", (0,)),
            *(Silent(name) for name in ("invaliduser", "invalidparty", "invalidtag", "unlicenseduser")),
            why="errmsg",
            at=r"/message/send",
        ),
        ("users", "departments", "tag_ids"),
    ),
    "wecombot": Provider(
        "https://developer.work.weixin.qq.com/document/path/91770", _is("errcode", 0, why="errmsg")
    ),
    "whatsapp": Provider(
        "https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages", people=_TARGETS
    ),
    "windows": Provider("https://learn.microsoft.com/windows/win32/api/shellapi/"),
    "workflows": Provider("https://learn.microsoft.com/power-automate/teams/"),
    "wpush": Provider(
        # The channels are the ways on which each message goes; each topic is a recipient.
        "https://wpush.cn/docs",
        _is("code", 0, why="message"),
        ("topics",),
        named=("channels",),
    ),
    "wxpusher": Provider(
        "https://wxpusher.zjiecode.com/docs/",
        _by(Says("code", (1000,)), Not("data[].code", (1001, 1002, 1003, 1004, 1005, 1006)), why="msg"),
        ("_users", "_topics"),
    ),
    "xmpp": Provider("https://xmpp.org/rfcs/rfc6121.html", people=_TARGETS),
    "youlmk": Provider("https://youlmk.com/docs/http"),
    "zoom": Provider("https://support.zoom.com/hc/en/article?id=zm_kb&sysparm_article=KB0067640"),
    "zulip": Provider(
        "https://zulip.com/api/rest-error-handling", _is("result", "success", why="msg"), _TARGETS
    ),
}


# Desktops and logs of this machine; and endpoints of the user's own, which stay where their URL leads.
_HERE = frozenset({"blink1", "dbus", "glib", "gnome", "growl", "macosx", "syslog", "windows"})
_BY_HOST = frozenset({"custom_form", "custom_json", "custom_xml", "rsyslog"})
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|\[?::1\]?", re.IGNORECASE)


def stays_here(server: Any) -> bool:
    """Whether what a plugin sends stays on this machine.

    A server on this machine that serves people elsewhere, for mail or a chat, does not count.
    """
    name = _module(server)
    return name in _HERE or (name in _BY_HOST and bool(_LOOPBACK.fullmatch(str(server.host or ""))))


def provider(server: Any) -> Provider | None:
    """The row of a plugin; None for one that is not Apprise's own, or newer than the table."""
    return PROVIDERS.get(_module(server))


def _module(server: Any) -> str:
    return type(server).__module__.removeprefix("apprise.plugins.").partition(".")[0]
