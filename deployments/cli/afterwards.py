"""Hands over, after a command has recorded events, the notices that they made due."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from flows.study.runtime import Runtime


def hand_over_of(study: Runtime) -> Callable[[str], None]:
    """The way in which a command hands over the notices of one subject.

    The command's own lines have the standard output: what is printed for want of a channel goes beside it.
    Without any channel notices are printed by the service, where somebody looks for them.
    """
    told = replace(study, channels=replace(study.channels, out=sys.stderr))
    return told.hand_over if study.channels.configured else _leave


def _leave(code: str) -> None:
    """Leave a subject's notices to the service."""
