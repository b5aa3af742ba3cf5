"""What the service says in its own terminal."""

import logging

from deployments.logs import OneLine


def test_a_message_is_one_line_whatever_a_request_held() -> None:
    record = logging.makeLogRecord({"msg": "401 POST /webhooks/%s: 不", "args": ("x\n12:00 forged\x1b[31m",)})
    assert OneLine("%(message)s").format(record) == r"401 POST /webhooks/x\n12:00 forged\x1b[31m: 不"
