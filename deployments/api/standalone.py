"""`itp api`: the API in a process of its own."""

from __future__ import annotations

import os

from deployments.api.serve import Api
from deployments.bootstrap.abort import leave
from deployments.bootstrap.data_dir import open_to_others
from deployments.bootstrap.logs import say, say_as, set_up_logs
from deployments.bootstrap.noted_settings import note_settings
from deployments.bootstrap.reach import MEND, unreachable_links
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.stop_signals import StopSignals
from deployments.bootstrap.study import open_study
from deployments.prefect.server_process import prefect_environment
from tasks.database.versions import refuse_missing


def main(settings: Settings) -> int:
    """Serve until Ctrl-C or SIGTERM. Returns the exit code 0 when everything that had begun has ended.

    Raises:
        ItpError: one line that says why it cannot start.
    """
    asked = StopSignals()
    say_as(settings.log_format)
    data_dir = settings.data_dir.absolute()
    os.environ.update(prefect_environment(data_dir / "prefect", settings.prefect_api))
    study = open_study(settings)
    refuse_missing(study.store, study.protocol)
    note_settings(study.store, settings, study.wall())
    try:
        api = Api(settings, study)
        set_up_logs(data_dir / "logs", settings.log_format, with_prefect=False)
        api.start()
        say(f"The API: {settings.base_url}. Ctrl-C stops this.")
        if problem := open_to_others(data_dir):
            say(f"Warning: {problem}")
        if problem := unreachable_links(settings, study.channels):
            say(f"Warning: {problem}; {MEND}")
        asked.wait()
        drained = api.stop()
    finally:
        study.store.close()
    if not drained:
        leave()
    return 0
