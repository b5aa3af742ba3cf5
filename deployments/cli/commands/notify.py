"""`itp notify`: the texts of the notices, and whether they reach their recipients."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployments.bootstrap.settings import load_settings
from itp_events.errors import BadInput, ItpError
from itp_events.protocol.file import load_protocol

if TYPE_CHECKING:
    from tasks.delivery.trying_out import Tried

_WORDS = {"sent": "accepted", "failed": "failed", "unknown": "unknown"}


@click.group("notify", short_help="The channels and the texts of the notices.")
def command() -> None:
    """Test the channels of the service's notices, and look at their texts.

    \b
    Examples:
      itp notify test
      itp notify preview --out texts
    """


@command.command("test", short_help="Send a marked test to each recipient.")
@click.argument("audience", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, recipients.")
def test(audience: str | None, as_json: bool) -> None:
    """Send a marked test to each recipient, and print what each provider answered.

    AUDIENCE is coordinator, investigator, sponsor, cell-lab or ops, with a site's code behind it for that
    site (coordinator-01); without one, everybody. Nothing is recorded. The exit code is 1 unless each
    provider accepted the message.

    \b
    Examples:
      itp notify test
      itp notify test investigator
      itp notify test coordinator-01 --json
    """
    from deployments.bootstrap.reach import MEND, unreachable_links
    from deployments.cli.errors import FAILED, say
    from tasks.delivery.channels import Channels
    from tasks.delivery.links import Links
    from tasks.delivery.trying_out import recipients_of, try_out

    settings = load_settings()
    protocol = load_protocol(settings.protocols)
    # The link in a test is not signed.
    channels = replace(Channels.from_config(settings.apprise_config), links=Links(settings.base_url, b"test"))
    recipients = recipients_of(channels, protocol, audience)
    if not recipients:
        why = f"no URL is tagged {audience}" if audience else channels.problems[0]
        raise ItpError(f"there is nobody to send a test to: {why}")
    tried = sorted(
        try_out(channels, protocol, recipients, socket.gethostname()),
        key=lambda each: recipients.index(each.recipient),
    )
    _show(tried, as_json=as_json)
    for problem in channels.problems:
        say(problem)
    if unreachable := unreachable_links(settings, channels):
        say(f"{unreachable}; {MEND}")
    if any(each.outcome.kind != "sent" for each in tried):
        raise click.exceptions.Exit(FAILED)


def _show(tried: Sequence[Tried], *, as_json: bool) -> None:
    from deployments.cli.output.tables import coloured, console, print_json, table

    if as_json:
        print_json(
            {"ok": all(each.outcome.kind == "sent" for each in tried), "recipients": list(map(_row, tried))}
        )
        return
    rows = [
        (
            each.recipient.label,
            ", ".join(each.audiences),
            coloured(_WORDS[each.outcome.kind]),
            each.outcome.error or each.outcome.answer or "",
        )
        for each in tried
    ]
    console().print(table(("Recipient", "Audiences", "", "What the provider answered"), rows, ("",)))


def _row(tried: Tried) -> dict[str, Any]:
    return {
        "recipient": tried.recipient.label,
        "audiences": list(tried.audiences),
        "outcome": tried.outcome.kind,
        "answer": tried.outcome.error or tried.outcome.answer,
        "seconds": round(tried.seconds, 2),
    }


@command.command("preview", short_help="Every text, rendered for typical subjects.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder of the pages.")
@click.option("--overwrite", is_flag=True, help="Replace pages that are there already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: pages, texts, left_out.")
def preview(out: Path, overwrite: bool, as_json: bool) -> None:
    """Write one page per language with the text of every notice, as its recipients will read it.

    The texts are made for typical subjects by the protocol and the service's own rules; nothing is stored and
    nothing is sent. Each page is one HTML file that needs no network. Pages that are there already stay,
    unless --overwrite is given.

    \b
    Examples:
      itp notify preview --out texts
      itp notify preview --out texts --overwrite
    """
    from deployments.cli.errors import say
    from deployments.cli.output.tables import print_json
    from deployments.preview.occasions import preview as occasions
    from deployments.preview.page import page
    from tasks.delivery.links import Links
    from tasks.text.render import LANGUAGES

    settings = load_settings()
    protocol = load_protocol(settings.protocols)
    pages = {language: out / f"notices.{language}.html" for language in LANGUAGES}
    _free(out, list(pages.values()), overwrite=overwrite)
    # The links lead nowhere: no key of a service has signed them.
    links = Links(settings.base_url, b"preview")
    head = f"{protocol.id} {protocol.version}"
    texts, left_out = {}, {}
    for language, path in pages.items():
        preview = occasions(protocol, language, links)
        _write(path, page(preview.examples, language, protocol.site("default").zone, head))
        texts[language], left_out[language] = len(preview.examples), preview.left_out
    if as_json:
        named = {language: str(path) for language, path in pages.items()}
        print_json({"pages": named, "texts": texts, "left_out": left_out})
        return
    for language, path in pages.items():
        click.echo(f"{path}: {texts[language]} texts")
    for each in left_out["en"]:
        say(f"left out: {each}")


def _free(out: Path, pages: list[Path], *, overwrite: bool) -> None:
    """Make the folder.

    Raises:
        BadInput: that fails, or a page is there and must stay.
    """
    taken = [path for path in pages if path.exists()]
    if taken and not overwrite:
        raise BadInput(f"{taken[0]} is there already; name another folder, or give --overwrite", "--out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(f"{out} cannot be made: {problem.strerror}", "--out") from problem


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise BadInput(f"{path} cannot be written: {problem.strerror}", "--out") from problem
