"""Whether the people who get messages can open the links in them."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from deployments.bootstrap.settings import Settings
from tasks.delivery.channels import Channels

MEND = "set ITP_PUBLIC_URL to the address at which people reach the service"


def unreachable_links(settings: Settings, channels: Channels) -> str | None:
    """The reason why links in messages open nowhere but on this machine; None when they may open.

    Messages that stay on this machine themselves need no more.
    """
    host = urlsplit(settings.base_url).hostname or ""
    elsewhere = sum(each.is_elsewhere for each in channels.configured)
    if not elsewhere or not _is_here(host):
        return None
    whom = "1 recipient is" if elsewhere == 1 else f"{elsewhere} recipients are"
    where = f"links in messages lead to {settings.base_url}, which opens on this machine alone"
    return f"{where}, and {whom} elsewhere"


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # An address to listen on, 0.0.0.0 or ::, leads nowhere.
    return address.is_loopback or address.is_unspecified
