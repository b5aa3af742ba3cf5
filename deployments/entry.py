"""The flows for a worker of Prefect's own, whose processes each open the study that the settings name."""

from deployments.bootstrap.data_dir import keep_private
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import open_study
from flows.daily_digest import daily_digest
from flows.forms import (
    acknowledge,
    adverse_event,
    book,
    complete,
    contact_attempt,
    enrol,
    missed,
    reminders,
)
from flows.record_event import record_event
from flows.study.runtime import use
from flows.study_board import study_board
from flows.subject_journey import subject_journey

__all__ = [
    "acknowledge",
    "adverse_event",
    "book",
    "complete",
    "contact_attempt",
    "daily_digest",
    "enrol",
    "missed",
    "record_event",
    "reminders",
    "study_board",
    "subject_journey",
]

keep_private()
use(lambda: open_study(load_settings()))
