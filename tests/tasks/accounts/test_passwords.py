"""How a password is kept, in a process that hashes as the service does: in this one hashes are quick."""

import subprocess
import sys

import pytest
from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from tasks.accounts import passwords

pytestmark = pytest.mark.requirement("SEC-04")

PASSWORD = "correct horse battery"
HASHED = f"from tasks.accounts.passwords import hashed; print(hashed({PASSWORD!r}))"


def test_a_password_is_kept_as_an_argon2id_hash_that_costs_what_rfc_9106_asks() -> None:
    found = subprocess.run([sys.executable, "-c", HASHED], capture_output=True, text=True, check=True)
    kept = found.stdout.strip()
    assert extract_parameters(kept) == RFC_9106_LOW_MEMORY
    assert passwords.is_password(kept, PASSWORD)
    assert not passwords.is_password(kept, f"{PASSWORD}!")
