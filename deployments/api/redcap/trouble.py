"""The reasons why REDCap gave nothing. Each may be over later; `rows.RedcapHasNone` is final."""

from __future__ import annotations

from datetime import datetime

from itp_events.errors import ItpError


class RedcapSilent(ItpError):
    """REDCap does not answer, or not with what was asked for; the trigger is kept and can be repeated."""


class RedcapUnsuited(RedcapSilent):
    """REDCap answers, and does not give this. Another form may come through."""


class RedcapTooLong(RedcapUnsuited):
    """REDCap's answer is longer than it may be."""


class RedcapRefuses(RedcapSilent):
    """REDCap refuses the token, or with `of_address` this machine; it asks for `seconds` of peace."""

    def __init__(self, said: str, *, of_address: bool, seconds: float) -> None:
        self.of_address, self.seconds = of_address, seconds
        super().__init__(said)


class RedcapWaits(RedcapSilent):
    """REDCap is not asked before the instant `until` (UTC, the world's time).

    With `is_rate` it refuses nothing, and only its rate makes the request wait.
    """

    def __init__(self, said: str, until: datetime, *, is_rate: bool = False) -> None:
        self.until, self.is_rate = until, is_rate
        super().__init__(said)
