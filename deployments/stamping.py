"""The time-stamping authority that the settings name."""

from __future__ import annotations

from deployments.bootstrap.settings import Settings
from itp_events.errors import BadInput
from tasks.integrity.stamps import ROOTS_SETTING, SETTING, Authority, trusted_roots


def stamping_authority(settings: Settings) -> Authority | None:
    """The authority that stamps the seals; None when the settings name none.

    Raises:
        BadInput: no certificate is given that vouches for its stamps.
    """
    if not settings.stamp_url:
        return None
    roots = trusted_roots(settings.stamp_roots)
    if not roots:
        raise BadInput(f"needs the authority's certificates too: set {ROOTS_SETTING}", SETTING)
    return Authority(settings.stamp_url, roots)
