"""Time-stamps of seals (RFC 3161): an authority's signed word that a seal was there at an instant.

What is stamped is the SHA-256 of a seal's line, which is the seal's own hash. So `openssl ts -verify` can
check a stamp without this program. A seal names the one before it: a stamp holds for all before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from itp_events.errors import BadInput, ItpError
from tasks.database.schema import seal_stamps, seals
from tasks.database.store import Store
from tasks.hashing.rows import VERSION
from tasks.integrity.authority import Silent, ask
from tasks.integrity.certificate_order import certificates_in_order
from tasks.integrity.sealing import Seal, newest_seal

SETTING, ROOTS_SETTING = "ITP_STAMP_URL", "ITP_STAMP_ROOTS"


class NoStamp(ItpError):
    """The authority did not give a stamp; it may give one later."""


@dataclass(frozen=True)
class Authority:
    """A time-stamping authority: its address, and the certificates that are trusted to vouch for it."""

    url: str
    roots: Sequence[Certificate]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp: the number of its seal, and the authority's instant (UTC)."""

    seal: int
    at: datetime


def trusted_roots(file: Path | None) -> tuple[Certificate, ...]:
    """The certificates in a PEM file; none without a file. Raises BadInput when the file holds none."""
    if file is None:
        return ()
    try:
        return tuple(load_pem_x509_certificates(file.read_bytes()))
    except OSError as problem:
        raise BadInput(f"cannot be read: {problem.strerror}", str(file)) from problem
    except ValueError as problem:
        raise BadInput(f"holds no certificate in PEM; see {ROOTS_SETTING}", str(file)) from problem


def stamp_newest(store: Store, authority: Authority, at: datetime) -> Stamp | None:
    """Have the newest seal stamped, and keep the stamp; None when it has one, or there is no seal.

    `at` is the machine's time (UTC).

    Raises:
        NoStamp: the authority is silent, refuses, or gives no stamp that its certificates vouch for.
    """
    with store.reading() as connection:
        row = connection.execute(_NEWEST).one_or_none()
    if row is None or row.stamped:
        return None
    answer, response = _asked(authority, row.line.encode(), row.hash)
    kept = {"seal": row.number, "authority": authority.url, "token": base64.b64encode(answer).decode()}
    store.write(lambda connection: connection.execute(seal_stamps.insert(), kept | {"at": at}))
    return Stamp(row.number, response.tst_info.gen_time)


def try_out(authority: Authority) -> datetime:
    """The authority's instant (UTC) in a stamp of random bytes, which is kept nowhere; raises NoStamp."""
    content = secrets.token_bytes(32)
    _, response = _asked(authority, content, hashlib.sha256(content).hexdigest())
    return response.tst_info.gen_time


def _asked(authority: Authority, content: bytes, digest: str) -> tuple[bytes, TimeStampResponse]:
    """The authority's answer about a content, as it came and as it reads; raises NoStamp."""
    request = TimestampRequestBuilder(content, HashAlgorithm.SHA256).build()
    try:
        answer = ask(authority.url, request.as_bytes())
    except Silent as problem:
        raise NoStamp(str(problem)) from problem
    response = _decoded(answer)
    _check(response, digest, authority.roots, request.nonce)
    return answer, response


def newest_stamp(connection: sa.Connection) -> tuple[Seal, Stamp | None] | None:
    """The newest seal, and the newest stamp, which may be of an earlier one; None before the first seal."""
    seal = newest_seal(connection)
    if seal is None:
        return None
    query = sa.select(seal_stamps.c.seal, seal_stamps.c.token).order_by(seal_stamps.c.seal.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return seal, None if row is None else Stamp(row.seal, instant_in(row.token))


_NEWEST = (
    sa.select(seals.c.number, seals.c.line, seals.c.hash, seal_stamps.c.seal.is_not(None).label("stamped"))
    .select_from(seals.outerjoin(seal_stamps))
    .order_by(seals.c.number.desc())
    .limit(1)
)


def flaw_in(token: str, seal_hash: str | None, roots: Sequence[Certificate]) -> str | None:
    """The flaw of a stamp that is kept; None when it is one of this seal.

    Without `roots` its signature is not looked at.
    """
    try:
        response = _decoded(base64.b64decode(token, validate=True))
        _check(response, seal_hash, roots)
    except (NoStamp, binascii.Error) as problem:
        return f"is no stamp of its seal: {problem}"
    return None


def instant_in(token: str) -> datetime:
    """The authority's instant (UTC) in a stamp without flaw."""
    return _decoded(base64.b64decode(token)).tst_info.gen_time


def _decoded(answer: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(certificates_in_order(answer))
        # A refusal has no token; every part of a token is read here, since a damaged one raises anywhere.
        if response.status != 0:
            raise NoStamp(f"the authority refuses: {'; '.join(response.status_string) or response.status}")
        response.tst_info.message_imprint.message  # noqa: B018 - it is read, and may raise
    except ValueError as problem:
        raise NoStamp(f"it cannot be read: {problem}") from problem
    return response


def _check(
    response: TimeStampResponse,
    seal_hash: str | None,
    roots: Sequence[Certificate],
    nonce: int | None = None,
) -> None:
    """Raise NoStamp unless a response stamps a seal, and the certificates vouch for it."""
    wanted = (seal_hash or "").removeprefix(VERSION)
    if response.tst_info.message_imprint.message.hex() != wanted:
        raise NoStamp("it stamps something else")
    if not roots:
        return
    try:
        VerifierBuilder(roots=list(roots), nonce=nonce).build().verify(response, bytes.fromhex(wanted))
    except (VerificationError, ValueError) as problem:
        raise NoStamp(f"the certificates of {ROOTS_SETTING} do not vouch for it: {problem}") from problem
