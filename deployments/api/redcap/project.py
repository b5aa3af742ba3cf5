"""The REDCap project that the settings name."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.api.redcap.client import Redcap
from deployments.api.redcap.mapping import Mapping, load_mapping
from deployments.settings import Settings
from itp_events.errors import BadInput


@dataclass(frozen=True)
class Project:
    """A REDCap project, how its forms become events, and the key that its trigger's address carries."""

    redcap: Redcap
    mapping: Mapping
    key: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Project | None:
        """The project; None when no REDCap is named.

        Raises:
            BadInput: some of its settings are missing, or the mapping cannot be read.
        """
        if not settings.redcap_url:
            return None
        if not settings.redcap_token or settings.redcap_mapping is None:
            raise BadInput("also set ITP_REDCAP_TOKEN and ITP_REDCAP_MAPPING", "ITP_REDCAP_URL")
        redcap = Redcap(settings.redcap_url, settings.redcap_token)
        return cls(redcap, load_mapping(settings.redcap_mapping), settings.redcap_key)
