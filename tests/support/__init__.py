"""What tests stand on: real parts on this machine, and waiting for what they do."""

from tests.support.ports import free_port
from tests.support.receiver import Receiver, Request
from tests.support.waiting import wait_until

__all__ = ["Receiver", "Request", "free_port", "wait_until"]
