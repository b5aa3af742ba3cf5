"""The lateness of wakes, as a histogram that this process keeps."""

from __future__ import annotations

from prometheus_client import Histogram

WAKE_LATENESS = Histogram(
    "itp_wake_lateness_seconds",
    "Real seconds between a subject's time and the beginning of its wake.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300),
    registry=None,
)
