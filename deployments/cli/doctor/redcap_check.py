"""The checks of REDCap by `itp doctor`: whether the API user has the rights with which the mapping works.

They ask REDCap five times at most, and change nothing there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from deployments.api.redcap.client import Redcap
from deployments.api.redcap.mapping import Mapping, fields, load_mapping
from deployments.api.redcap.rows import Row
from deployments.api.redcap.trouble import RedcapRefuses, RedcapSilent
from deployments.cli.doctor.finding import Finding, Surroundings
from itp_events.errors import BadInput

_NAME = "REDCap"
_RIGHTS = "in REDCap, User Rights, give the API user Full Data Set on the forms that are mapped"
_LOG = "in REDCap, User Rights, give the API user Logging; triggers work without it"


def redcap(around: Surroundings) -> Iterator[Finding]:
    """Whether REDCap answers, and gives every column that the mapping reads, and its log."""
    settings = around.settings
    if not settings.redcap_url:
        return
    if not settings.redcap_token or settings.redcap_mapping is None:
        yield Finding(_NAME, "fail", "ITP_REDCAP_URL is set alone", "also set ITP_REDCAP_TOKEN and _MAPPING")
        return
    try:
        mapping = load_mapping(settings.redcap_mapping)
    except BadInput as error:
        yield Finding(_NAME, "fail", str(error), "mend the line")
        return
    asked = Redcap(settings.redcap_url, settings.redcap_token.get_secret_value())
    try:
        project = asked.project()
        yield from _columns(asked, mapping, project.get("project_id", "?"))
    except RedcapRefuses as error:
        yield Finding(_NAME, "fail", str(error), "give the API user API Export, and look at ITP_REDCAP_TOKEN")
        return
    except RedcapSilent as error:
        yield Finding(_NAME, "fail", str(error), "see ITP_REDCAP_URL and the mapping")
        return
    yield from _codes(mapping, project)
    yield from _log(asked, around)


def _columns(asked: Redcap, mapping: Mapping, project: str) -> Iterator[Finding]:
    """Whether the API user is given the columns of every mapped form; any record shows it."""
    names = [row[mapping.record_id] for row in asked.records([], [], mapping) if row.get(mapping.record_id)]
    if not names:
        said = f"project {project} has no record yet, so that the rights to its fields cannot be tried"
        yield Finding(_NAME, "warn", said, "save a record, then: itp doctor")
        return
    rows = asked.records(names[:1], list(mapping.instruments), mapping)
    if not rows:
        yield Finding(_NAME, "fail", f"project {project}: record names are exported hashed", _RIGHTS)
        return
    hidden = [name for name in _read(mapping) if name not in rows[0]]
    if hidden:
        said = f"project {project} does not export {', '.join(hidden)}"
        yield Finding(_NAME, "fail", said, f"{_RIGHTS}, or take them out of the mapping")
    else:
        yield Finding(_NAME, "ok", f"project {project} exports every column that the mapping reads")


def _read(mapping: Mapping) -> list[str]:
    return list(dict.fromkeys(name for form in mapping.instruments for name in fields(mapping, form)))


def _codes(mapping: Mapping, project: Row) -> Iterator[Finding]:
    """Whether the mapping knows the project's missing data codes."""
    given = project.get("missing_data_codes", "").replace("\n", "|").split("|")
    codes = [code for each in given if (code := each.partition(",")[0].strip())]
    unknown = [code for code in codes if code not in mapping.missing]
    if unknown:
        said = f"the mapping does not know the project's missing data codes {', '.join(unknown)}"
        yield Finding(_NAME, "warn", said, "list all codes in the mapping under missing:")


def _log(asked: Redcap, around: Surroundings) -> Iterator[Finding]:
    """Whether the API user may read the log, from which is caught up what was saved while no service ran."""
    begin = around.now - timedelta(hours=1)
    try:
        asked.log(f"{begin:%Y-%m-%d %H:%M}", f"{around.now:%Y-%m-%d %H:%M}")
    except RedcapSilent as error:
        yield Finding(_NAME, "warn", f"its log is not given, so that nothing is caught up: {error}", _LOG)
    else:
        yield Finding(_NAME, "ok", "gives its log: what is saved while no service runs is caught up")
