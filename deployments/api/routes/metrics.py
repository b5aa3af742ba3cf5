"""GET /metrics: the numbers of the service in Prometheus' text format.

Most of them are read from the study's database, so that they survive a restart and are the same in every
process. Refusals and the lateness of wakes are counted by each process itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter, Depends, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deployments.api.http.auth import needs
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.examples import Json
from deployments.api.http.schemas import ASKING
from deployments.prefect.server_process import is_ready
from deployments.service.lateness import WAKE_LATENESS
from tasks.database.monitoring import Figures, figures

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: dict[int | str, Json] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}
}

router = APIRouter(tags=["watching"], dependencies=[Depends(needs("watch"))])


@router.get("/metrics", summary="Metrics of the service", response_class=Response, responses=ASKING | _TEXT)
def metrics(api: Dependencies) -> Response:
    """Counts of events, notices, subjects and troubles, and how late the service is."""
    registry = CollectorRegistry()
    registry.register(_Collector(api))
    registry.register(WAKE_LATENESS)
    return Response(generate_latest(registry), media_type=MEDIA_TYPE)


class _Collector:
    """Reads all numbers once for each scrape."""

    def __init__(self, api: ApiContext) -> None:
        self._context = api

    def collect(self) -> Iterator[Metric]:
        """The metric families."""
        now = self._context.study.clock.now()
        numbers = figures(self._context.study.store, now)
        yield _by(
            "itp_events_accepted", "Events recorded, by type.", "type", numbers.accepted, CounterMetricFamily
        )
        yield self._refused()
        yield _by("itp_notices", "Notices, by status.", "status", numbers.notices)
        yield _by("itp_subjects", "Subjects, by status.", "status", numbers.subjects)
        yield _by(
            "itp_sends",
            "Sends that have ended, by outcome; unknown: the provider may have taken the message.",
            "outcome",
            numbers.sends,
            CounterMetricFamily,
        )
        yield from _singles(numbers, now)
        yield from self._ages(numbers, self._context.study.clock.wall(now))
        answers = float(is_ready(self._context.study.prefect_api))
        yield GaugeMetricFamily(
            "itp_prefect_answers", "Whether Prefect answers this process: 1 or 0.", answers
        )

    def _ages(self, numbers: Figures, wall: datetime) -> Iterator[Metric]:
        """Families of what may never have been: without a value until then."""
        yield _age_of(
            "itp_round_age_seconds", "Since when no loop gave a sign of life.", numbers.last_round, wall
        )
        yield _age_of("itp_backup_age_seconds", "The age of the last good backup.", numbers.last_backup, wall)
        hours = self._context.backup_hours
        interval = GaugeMetricFamily(
            "itp_backup_interval_seconds", "The time between two backups, where the service makes any."
        )
        if hours is not None:
            interval.add_metric([], hours * 3600)
        yield interval

    def _refused(self) -> Metric:
        family = CounterMetricFamily(
            "itp_events_refused", "Events refused by this process, by type and rule.", labels=["type", "rule"]
        )
        for labels, count in self._context.study.refusals.counted().items():
            family.add_metric(labels, count)
        return family

    def describe(self) -> list[Metric]:
        """No families at registration: collecting would read the database."""
        return []


def _singles(numbers: Figures, now: datetime) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "itp_open_escalations", "Subjects whose ladder is being climbed.", numbers.escalated
    )
    yield GaugeMetricFamily(
        "itp_oldest_undelivered_notice_seconds",
        "Since when the oldest notice that is due has not reached all its recipients.",
        _age(numbers.oldest_waiting, now),
    )
    yield GaugeMetricFamily(
        "itp_wake_overdue_seconds",
        "How late the wake is that is overdue longest.",
        _age(numbers.oldest_wake, now),
    )
    yield GaugeMetricFamily(
        "itp_troubles", "What stands in the way until somebody mends it.", numbers.troubles
    )
    yield GaugeMetricFamily("itp_recipients_failing", "Recipients that nothing reaches.", numbers.failing)
    yield GaugeMetricFamily(
        "itp_leftovers", "Things received that could not be mapped to events.", numbers.dead_letters
    )


def _by(
    name: str,
    said: str,
    label: str,
    counts: dict[str, int],
    family: type[CounterMetricFamily] | type[GaugeMetricFamily] = GaugeMetricFamily,
) -> Metric:
    made = family(name, said, labels=[label])
    for value, count in sorted(counts.items()):
        made.add_metric([value], count)
    return made


def _age_of(name: str, said: str, since: datetime | None, now: datetime) -> Metric:
    made = GaugeMetricFamily(name, said)
    if since is not None:
        made.add_metric([], _age(since, now))
    return made


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0
