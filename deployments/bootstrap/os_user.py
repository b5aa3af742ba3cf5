"""The operating system's user, who is noted with what the command line records and changes."""

from __future__ import annotations

import os
import pwd

# No account's code holds a colon, so nobody takes the one for the other.
PREFIX = "os:"


def os_actor() -> str:
    """The user of this process, as `os:root`; by number where the machine has no name for it."""
    number = os.getuid()
    try:
        return PREFIX + pwd.getpwuid(number).pw_name
    except KeyError:
        return f"{PREFIX}{number}"
