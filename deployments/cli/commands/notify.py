"""`itp notify`: the texts of the notices, before they are sent."""

from __future__ import annotations

from pathlib import Path

import click

from deployments.bootstrap.settings import load_settings
from itp_events.errors import BadInput
from itp_events.protocol.file import load_protocol


@click.group("notify", short_help="The texts of the notices.")
def command() -> None:
    """Look at the texts of the service's notices.

    \b
    Example:
      itp notify preview --out texts
    """


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
    protocol = load_protocol(settings.protocol)
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
