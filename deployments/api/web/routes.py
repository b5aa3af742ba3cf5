"""The routers of all pages, in the order in which their addresses are matched."""

from __future__ import annotations

from deployments.api.web import (
    accounts,
    acknowledging,
    assets,
    correcting,
    deciding,
    duty,
    noticed,
    password,
    review,
    sign_in,
    signing,
    stating,
    subject,
    today,
)

# Before the forms, whose address would take theirs for a form of that name: paper, corrections, decisions.
ROUTERS = (
    assets.router,
    sign_in.router,
    today.router,
    duty.router,
    accounts.router,
    password.router,
    review.router,
    noticed.router,
    acknowledging.router,
    subject.router,
    correcting.router,
    deciding.router,
    signing.router,
    stating.router,
)
