"""Finds the account of a token or a session, and takes over tokens that are known by a role alone.

A door that records looks a token up at most every half minute here, only to refuse strangers before it reads
their request: the transaction reads the account again. Every other request looks it up anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from deployments.api.http.tokens import Entry, Tokens
from tasks.accounts import changing
from tasks.accounts.changing import By
from tasks.accounts.proof import Proof, Proven, proven
from tasks.accounts.tokens import RoleToken, take_over
from tasks.database.store import Store

KNOWN_SECONDS, ALONE_SECONDS = 30.0, 1.0
# Digests that are remembered at once: strangers do not fill the memory, as only known ones are.
_MOST = 10_000

log = logging.getLogger(__name__)


@dataclass
class Doorkeeper:
    """The accounts of one study, as the doors of one process ask for them. `wall`: the machine's clock."""

    store: Store
    tokens: Tokens
    wall: Callable[[], datetime]
    _known: dict[str, tuple[float, Proven]] = field(default_factory=dict, init=False)
    _taken: list[Entry] = field(default_factory=list, init=False)
    _alone_until: float = field(default=0.0, init=False)
    _is_any: bool = field(default=False, init=False)

    @property
    def behind(self) -> bool:
        """Whether the file or setting of tokens has entries that are not taken over yet; raises what reading
        them raises.
        """
        return self.tokens.entries() is not self._taken and self.tokens.entries() != self._taken

    def take_over(self) -> None:
        """Give each token that is known by a role alone an account that is named after its note."""
        entries = self.tokens.entries()
        found = [RoleToken(each.role, each.digest, each.note) for each in entries]
        by = By(None, "service", self.wall())
        for account in self.store.write(lambda connection: take_over(connection, found, by)):
            log.warning(
                "A token known by its role alone is one of account %s now, role %s, which speaks for others: "
                "see itp account change.",
                account.code,
                account.role,
            )
        self._taken = entries
        self._alone_until = 0.0

    def is_any(self) -> bool:
        """Whether there is any account; without one the service serves this machine alone."""
        if not self._is_any:
            with self.store.reading() as connection:
                self._is_any = changing.is_any(connection)
            self._alone_until = 0.0 if self._is_any else time.monotonic() + ALONE_SECONDS
        return self._is_any

    def is_any_lately(self) -> bool | None:
        """`is_any` as it was found within the last second, without asking; None when it has to be asked."""
        if self._is_any:
            return True
        return False if time.monotonic() < self._alone_until else None

    def find(self, proof: Proof) -> Proven | None:
        """The account of a token or session, read from the database."""
        with self.store.reading() as connection:
            found = proven(connection, proof, self.wall())
        self._known.pop(proof.digest, None)
        self._is_any = self._is_any or found is not None
        if found is None or (found.in_file and not self.tokens.holds(proof.digest)):
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[proof.digest] = time.monotonic() + KNOWN_SECONDS, found
        return found

    def find_lately(self, proof: Proof) -> Proven | None:
        """The account of a token as it was found within the last half minute, without asking."""
        until, found = self._known.get(proof.digest, (0.0, None))
        if found is None or time.monotonic() > until:
            return None
        return None if found.in_file and not self.tokens.holds(proof.digest) else found
