"""A study whose subjects follow a version that is not installed is not served."""

import pytest

from itp_events.errors import ItpError
from itp_events.protocol.file import load_protocol
from tasks.database.versions import refuse_missing
from tests.support.study import Study, altered
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("AMD-01")


def test_the_missing_version_and_its_subjects_are_named(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    refuse_missing(desk.store, load_protocol())
    with pytest.raises(ItpError, match="not installed: '1', which ITP-001 follow"):
        refuse_missing(desk.store, altered(lambda data: data.update(version="2")))
