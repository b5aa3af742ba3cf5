"""A process that is asked to stop hears of it, at whatever moment the signal comes."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.requirement("RUN-08")

# In a process of its own, whose main thread takes the signals. The n-th line of the wait is interrupted, for
# every n that there is; whoever waits for a lock that the main thread holds never ends.
INTERRUPTED_AT_EVERY_LINE = """
import signal, sys
from deployments.bootstrap.stop_signals import StopSignals

def interrupted_at(nth):
    asked, lines = StopSignals(signal.SIGTERM), 0
    def trace(frame, event, argument):
        nonlocal lines
        lines += 1
        if lines == nth:
            signal.raise_signal(signal.SIGTERM)
        return trace
    sys.settrace(trace)
    asked.wait(0.001)
    sys.settrace(None)
    return lines >= nth, asked.wait(0)

nth = 1
while True:
    was_sent, is_known = interrupted_at(nth)
    if not was_sent:
        break
    assert is_known, f"the signal at line {nth} of the wait was lost"
    nth += 1
print(nth - 1)
"""


# The system hands the signal to another thread, so that the wait of the main one goes on.
HANDED_TO_ANOTHER_THREAD = """
import signal, threading
from deployments.bootstrap.stop_signals import StopSignals

asked = StopSignals()
def take():
    threading.Event().wait(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=take).start()
print(asked.wait())
"""


def run(program: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_signal_is_heard_at_whatever_step_of_the_wait_it_comes() -> None:
    assert int(run(INTERRUPTED_AT_EVERY_LINE)) > 3


def test_a_signal_that_does_not_wake_the_wait_is_heard_all_the_same() -> None:
    assert run(HANDED_TO_ANOTHER_THREAD).strip() == "True"


def test_without_a_signal_the_wait_ends_in_time() -> None:
    said = run("from deployments.bootstrap.stop_signals import StopSignals\nprint(StopSignals().wait(0.001))")
    assert said.strip() == "False"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_both_signals_ask_for_a_stop(number: str) -> None:
    said = run(
        "import signal\nfrom deployments.bootstrap.stop_signals import StopSignals\nasked = StopSignals()\n"
        f"signal.raise_signal(signal.{number})\nprint(asked.wait())"
    )
    assert said.strip() == "True"
