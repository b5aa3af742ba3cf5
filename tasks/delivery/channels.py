"""The channels to people: audiences of the protocol, mapped by tags to the user's own Apprise configuration.

A notice for an audience goes to every URL tagged with the audience's name (`coordinator`, `investigator`,
`sponsor`, `cell-lab`, `ops`), and to every URL tagged with the name and the subject's site
(`coordinator-01`). Where a rota says who is on duty it goes to the URLs tagged with these people's accounts
(`tasks.delivery.addressing`). Apprise's own tag `always` gets everything but the reminders to subjects: they
go to the URLs tagged `participant-` and the subject's code, and to nobody else. Each URL is one recipient.
The service prints the notices of an audience that has no URL, and all when there is no configuration.

Apprise is kept to sending. Its retries, its "optional" (a failure reported as success), its priorities among
tags, its emojis and escapes are off: this service does its own retrying, since it must know the outcome of
each attempt. Redirects are not followed: a POST becomes a GET on the way, which carries no message and is
answered all the same. One message is sent in `tasks.delivery.sending`.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO, cast, get_args

from apprise import Apprise, AppriseAsset, AppriseConfig, NotifyBase, NotifyType
from apprise.config import ConfigBase

from itp_events.errors import BadInput
from itp_events.protocol.model import Audience
from tasks.delivery.config_file import SavedFile, Unreadable, decoded, install
from tasks.delivery.evidence import speaks
from tasks.delivery.links import Links
from tasks.delivery.naming import OF_SUBJECT, UNKNOWN, address, entries, listed, name_of
from tasks.delivery.providers import provider, stays_here

AUDIENCES: tuple[str, ...] = get_args(Audience)
SETTING = "ITP_APPRISE_CONFIG"
_ALWAYS = "always"
# The longest wait for a provider's answer, in seconds, where its URL sets none (`rto`, `cto`). It is less
# than the longest send. With a much shorter one, a message that a slow provider has taken would be sent
# again.
ANSWER_SECONDS = 25.0
# A mail with copies reaches several people at once.
_COPIES = ("cc", "bcc")


@dataclass(frozen=True)
class Recipient:
    """One address. `id` is a fingerprint of its URL; `label` is its name, shown in place of the address."""

    id: str
    label: str
    tags: frozenset[str] = frozenset()
    server: NotifyBase | None = None

    @property
    def is_console(self) -> bool:
        """Whether this is the service's own console."""
        return self.server is None

    @property
    def gets_all_only(self) -> bool:
        """Whether it gets everything by Apprise's tag `always`, and nothing by an audience or a person."""
        return self.tags == {_ALWAYS}

    @property
    def is_participant(self) -> bool:
        """Whether it is a subject's own: it gets their reminders, and nothing that is for the site."""
        return any(tag.startswith(OF_SUBJECT) for tag in self.tags)

    @property
    def is_elsewhere(self) -> bool:
        """Whether what is sent leaves this machine, as far as its URL tells."""
        return self.server is not None and not stays_here(self.server)


CONSOLE = Recipient("console", "console")


@dataclass(frozen=True)
class Channels:
    """The recipients of a configuration, and its problems; `out` is the console."""

    configured: Sequence[Recipient] = ()
    problems: Sequence[str] = ()
    out: TextIO = field(default_factory=lambda: sys.stdout)
    links: Links | None = None

    @classmethod
    def from_config(cls, path: Path | None, out: TextIO | None = None) -> Channels:
        """The channels of an Apprise configuration file (YAML or text); with None the console alone.

        Problems inside the file are listed in `problems`, and the rest of it is used.

        Raises:
            BadInput: the file cannot be read.
        """
        out = out or sys.stdout
        if path is None:
            nothing = f"no Apprise configuration: every notice is printed by the service; set {SETTING}"
            return cls(problems=[nothing], out=out)
        servers, problems = _load(path)
        recipients, refused = _recipients(servers)
        return cls(recipients, [*problems, *refused, *_untold(recipients)], out)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the addresses and their tags: the same for configurations with the same effect."""
        told = sorted((each.id, sorted(each.tags)) for each in self.configured)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def of(self, audience: str, site: str | None = None) -> list[Recipient]:
        """The recipients of a notice for `audience` at a site; the console when there is none."""
        wanted = {audience, f"{audience}-{site}".lower(), _ALWAYS}
        return [each for each in self._of_site if each.tags & wanted] or [CONSOLE]

    def of_participant(self, code: str) -> list[Recipient]:
        """The recipients of a subject's own reminders; none when no URL is tagged with the subject.

        Without any configuration it is the console, which only those at the machine read.
        """
        tag = participant_tag(code)
        return [each for each in self.configured if tag in each.tags] if self.configured else [CONSOLE]

    @cached_property
    def _of_site(self) -> list[Recipient]:
        """The recipients without those that are the subjects' own."""
        return [each for each in self.configured if not each.is_participant]

    def of_person(self, code: str) -> list[Recipient]:
        """The recipients that are tagged with the code of a person's account; none when nobody is."""
        wanted = person_tags(code)
        return [each for each in self._of_site if each.tags & wanted]

    def unused(self, codes: Iterable[str]) -> list[Recipient]:
        """The recipients with neither a tag of an audience nor one of these people's accounts: nobody's."""
        people = frozenset[str]().union(*map(person_tags, codes))
        return [
            each
            for each in self._of_site
            if not each.tags & people and not any(tells(tag, name) for tag in each.tags for name in AUDIENCES)
        ]

    def reaches(self, code: str) -> bool:
        """Whether a person has a recipient. Without any configuration everybody reads the console."""
        return not self.configured or bool(self.of_person(code))

    @property
    def always(self) -> list[Recipient]:
        """The recipients that get everything."""
        return [each for each in self._of_site if _ALWAYS in each.tags]

    def find(self, recipient_id: str) -> Recipient | None:
        """The recipient of this id, or None when it is no longer configured."""
        return next((each for each in (*self.configured, CONSOLE) if each.id == recipient_id), None)


def problems(path: Path | None) -> list[str]:
    """The problems of an Apprise configuration, one line each with its remedy; empty for none."""
    try:
        return list(Channels.from_config(path).problems)
    except BadInput as error:
        return [str(error)]


def _load(path: Path) -> tuple[list[NotifyBase], list[str]]:
    if not path.is_file():
        raise BadInput(f"{path} is not a file; name an Apprise configuration file, or unset it", SETTING)
    _check_encoding(path)
    install()
    asset = AppriseAsset(
        app_id="ITP visits",
        app_desc="Visits of trial subjects",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        # With a time limit of its own, Apprise sends in another thread, where `evidence` sees nothing.
        service_timeout=0,
    )
    with _complaints() as complaints:
        config = AppriseConfig(asset=asset, recursion=1)
        config.add(_file(path, asset))
        apprise = Apprise(asset=asset)
        apprise.add(config)
        servers = list(apprise)
    lines = [each if each.startswith(path.name) else f"{path.name}: {each}" for each in complaints]
    if not servers:
        lines.append(f"{path.name}: there is no usable Apprise URL in it; write lines as coordinator=URL")
    return servers, lines


def _file(path: Path, asset: AppriseAsset) -> ConfigBase:
    """The file itself: in its name alone Apprise would take % and ? for parts of an address."""
    # Apprise declares no types here.
    file: Any = SavedFile
    return cast("ConfigBase", file(str(path.absolute()), asset=asset, recursion=1))


def _check_encoding(path: Path) -> None:
    try:
        decoded(path.read_bytes())
    except Unreadable as reason:
        raise BadInput(f"{path} {reason}", SETTING) from reason
    except OSError as problem:
        raise BadInput(f"{path} cannot be read: {problem.strerror}", SETTING) from problem


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """The lines that Apprise logs while it reads: it raises nothing, and masks the secrets of URLs itself."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def _recipients(servers: Iterable[NotifyBase]) -> tuple[list[Recipient], list[str]]:
    by_id: dict[str, Recipient] = {}
    refused: list[str] = []
    for server in servers:
        _keep_to_sending(server)
        singles = _split(server)
        if not singles:
            refused.append(
                f"{name_of(server, _tags(server))} reaches several recipients at once, so that nobody could "
                "tell which of them got a notice; write one URL for each"
            )
        for single in singles:
            recipient = _recipient(single, by_id)
            by_id[recipient.id] = recipient
    return list(by_id.values()), refused


def _keep_to_sending(server: NotifyBase) -> None:
    server.retry = 0
    server.optional = False
    server.interpret_emojis = False
    server.redirects = False
    server.asset.async_mode = False


def _split(server: NotifyBase) -> list[NotifyBase]:
    """A server split into one for each of its recipients; empty when it cannot be split."""
    row = provider(server) or UNKNOWN
    if any(getattr(server, name, None) for name in (*_COPIES, *row.crowds)):
        return []
    if row.only and getattr(server, row.only[0], None) != row.only[1]:
        return [server]
    # Lists that reach one recipient as a whole are one part, each entry of the others is one.
    parts = [(name, entry) for name in row.people for entry in entries(server, name)]
    whole = [name for name in row.together if row.people and entries(server, name)]
    if len(parts) + bool(whole) > 1:
        emptied = (*row.people, *whole)
        alone = [_with(server, emptied, {name: [entry]}) for name, entry in parts]
        return alone + [_with(server, row.people, {}) for _ in whole[:1]]
    return [server] if len(server) <= 1 or row is not UNKNOWN else []


def _with(server: NotifyBase, names: Iterable[str], entries: Mapping[str, list[Any]]) -> NotifyBase:
    """A copy of a server whose lists of these names hold these entries alone."""
    single: Any = copy.copy(server)
    for each in names:
        kept = type(listed(server, each))(entries.get(each, ()))
        name, _, key = each.partition(".")
        setattr(single, name, getattr(single, name) | {key: kept} if key else kept)
    return cast("NotifyBase", single)


def _recipient(server: NotifyBase, known: Mapping[str, Recipient]) -> Recipient:
    """The recipient of a server, with the tags that it has elsewhere in the configuration too."""
    fingerprint = hashlib.sha256(address(server, privacy=False).encode()).hexdigest()[:16]
    # After the fingerprint, which must stay the same whatever is set here: waiting notices find their
    # recipient by it.
    _be_patient(server)
    _open_alerts(server)
    tags = _tags(server)
    if fingerprint in known:
        tags |= known[fingerprint].tags
    return Recipient(fingerprint, name_of(server, tags, fingerprint), tags, server)


def _tags(server: NotifyBase) -> frozenset[str]:
    return frozenset(str(tag) for tag in server.tags)


def _be_patient(server: NotifyBase) -> None:
    kind = type(server)
    if server.socket_read_timeout == kind.socket_read_timeout:
        server.socket_read_timeout = ANSWER_SECONDS
    # Mail has one time limit, for connecting and for every answer.
    if speaks(server, "smtplib") and server.socket_connect_timeout == kind.socket_connect_timeout:
        server.socket_connect_timeout = ANSWER_SECONDS


def _open_alerts(server: Any) -> None:
    row = provider(server)
    if row and row.alert:
        server.mapping = server.mapping | {NotifyType.INFO: row.alert}


def _untold(recipients: Sequence[Recipient]) -> list[str]:
    tags = frozenset[str]().union(*(each.tags for each in recipients if not each.is_participant))
    untold = [name for name in AUDIENCES if not any(tells(tag, name) for tag in tags)]
    return [f"no URL is tagged {name}: its notices are printed by the service" for name in untold]


def participant_tag(code: str) -> str:
    """The tag of a subject's own recipients.

    It is the code itself, so that no two subjects share one; a code with a dot needs a YAML configuration.
    """
    return f"{OF_SUBJECT}{code.lower()}"


# Apprise's text configuration takes no dot in a tag.
_NOT_IN_TAGS = re.compile(r"[^a-z0-9_-]")


def person_tags(code: str) -> frozenset[str]:
    """The tags that name a person: the account's code, also with each sign that a tag cannot hold as `-`."""
    lowered = code.lower()
    return frozenset((lowered, _NOT_IN_TAGS.sub("-", lowered)))


def tells(tag: str, audience: str) -> bool:
    """Whether a recipient with this tag is told what is for an audience, at some site at least."""
    return tag in (audience, _ALWAYS) or tag.startswith(f"{audience}-")
