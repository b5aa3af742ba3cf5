"""A process of the API, which `deployments.api.workers` starts: `python -m` this module, `SOCKET REASON`.

It takes connections from a listening socket that it inherits and shares with the other workers. What it needs
to know comes through its standard input, which its parent holds open: when that is closed, by a SIGKILL too,
the process ends at once, as the parent's own doors would have. Its reason not to serve goes to the file
descriptor REASON.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import sys
import threading
from typing import BinaryIO

from deployments.loading import loading

with loading():
    from deployments.api.serve import Api
    from deployments.api.workers import REFUSED, Task
    from deployments.bootstrap.abort import leave
    from deployments.bootstrap.data_dir import keep_private
    from deployments.bootstrap.logs import set_up_logs
    from deployments.bootstrap.stop_signals import StopSignals
    from deployments.bootstrap.study import open_study
    from deployments.service.lateness import WAKE_LATENESS
    from itp_events.errors import ItpError
    from tasks.database.instance import Instance


def main() -> int:
    """Serve until SIGTERM, or until the parent ends. Returns the exit code."""
    keep_private()
    asked = StopSignals(signal.SIGTERM)
    listener = socket.socket(fileno=int(sys.argv[1]))
    # Apart from the standard input's own buffer, whose lock would be held while this process ends by itself.
    parent = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    task: Task = pickle.load(parent)
    threading.Thread(target=_listen_to, args=(parent,), daemon=True).start()
    try:
        return _serve(task, listener, asked)
    except ItpError as problem:
        os.write(int(sys.argv[2]), str(problem).encode())
        return REFUSED


def _serve(task: Task, listener: socket.socket, asked: StopSignals) -> int:
    settings = task.settings
    instance = Instance(task.instance)
    # The service that started this process frees what others left behind.
    instance.watches = True
    study = open_study(settings, instance)
    try:
        api = Api(settings, study, listener)
        set_up_logs(settings.data_dir.absolute() / "logs", settings.log_format, with_prefect=False)
        api.start()
        asked.wait()
        drained = api.stop()
    finally:
        study.store.close()
    if not drained:
        leave()
    return 0


def _listen_to(parent: BinaryIO) -> None:
    """Take over what the parent tells, until it ends."""
    for line in parent:
        WAKE_LATENESS.take_over(json.loads(line))
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
