"""`itp recipients`: the configuration that gives the recipients of the study's notices."""

from __future__ import annotations

from typing import Any

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import place
from deployments.cli.errors import FAILED
from deployments.cli.output.tables import print_json
from itp_events.outputs.plan_json import instant
from itp_events.rules.explain import counted
from tasks.database.store import Store
from tasks.delivery import recipients
from tasks.delivery.channels import Channels
from tasks.delivery.recipients import StudyRecipients


@click.command("recipients", short_help="The recipients of the study's notices.")
@click.option("--take", is_flag=True, help="Let the recipients of this configuration stand from now on.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(take: bool, as_json: bool) -> None:
    """Show the recipients of the study's notices. Exit code 1 when the configuration here has others.

    A restart of `itp up` takes over a changed configuration by itself. Only where no service can do so, as
    from recipients to none, a person does it with --take; a service that runs with other recipients then
    hands over nothing until it is restarted.

    \b
    Examples:
      itp recipients
      itp recipients --take
    """
    settings = load_settings()
    channels = Channels.from_config(settings.apprise_config)
    store = Store.open(settings.database)
    try:
        if take:
            recipients.take(store, channels, place(settings), Clock().now())
        kept = recipients.study_recipients(store)
    finally:
        store.close()
    same = kept is None or kept.fingerprint == channels.fingerprint
    if as_json:
        print_json(_document(kept, same))
    else:
        click.echo(_said(channels, kept))
    if not same:
        raise click.exceptions.Exit(FAILED)


def _document(kept: StudyRecipients | None, same: bool) -> dict[str, Any]:
    if kept is None:
        return {"recipients": None, "set_at": None, "since": None, "same_here": True}
    return {
        "recipients": kept.count,
        "set_at": kept.place,
        "since": instant(kept.since),
        "same_here": same,
    }


def _said(channels: Channels, kept: StudyRecipients | None) -> str:
    if kept is None:
        return "No service has run yet: the first itp up sets its recipients."
    if kept.fingerprint != channels.fingerprint:
        return recipients.difference(channels, kept)
    whom = counted(kept.count, "recipient") if kept.count else "the service's own console"
    since = f"{kept.since:%Y-%m-%d %H:%M} UTC"
    return f"Notices go to {whom}, set at {kept.place} since {since}; the configuration here is the same."
