"""An authority outside signs that a seal was there at an instant (RFC 3161)."""

import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from itp_events.errors import BadInput
from tasks.database.triggers import lifted
from tasks.integrity.authority import MOST_BYTES
from tasks.integrity.certificate_order import certificates_in_order
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.stamps import Authority, NoStamp, stamp_newest, trusted_roots
from tasks.integrity.verify import verify
from tests.support.stamping import StampingAuthority, stamping_authority
from tests.support.study import Study
from tests.tasks.archive.kept import brought_back, kept
from tests.tasks.desk import Desk

pytestmark = [
    pytest.mark.requirement("LOG-01"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the stamps of these tests"),
]

AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StampingAuthority]:
    """An authority on this machine."""
    with stamping_authority(tmp_path_factory.mktemp("authority")) as authority:
        yield authority


@pytest.fixture
def authority(here: StampingAuthority) -> Authority:
    """The authority as a study names it; it answers."""
    here.answers, here.instead, here.redirect, here.chain = True, None, "", ""
    return Authority(here.url, trusted_roots(here.roots))


@pytest.fixture
def sealed(desk: Desk, study: Study) -> Desk:
    """A study with one seal."""
    desk.take(study.enrol())
    keep(desk.store, AT)
    assert seal(desk.store, AT) is not None
    return desk


def test_the_newest_seal_is_stamped_once_and_verified(sealed: Desk, authority: Authority) -> None:
    before = datetime.now(UTC)  # noqa: TID251 - what OpenSSL's own clock shows
    stamp = stamp_newest(sealed.store, authority, AT)
    assert stamp is not None
    assert stamp.seal == 1
    assert abs((stamp.at - before).total_seconds()) < 3600
    assert stamp_newest(sealed.store, authority, AT) is None
    report = verify(sealed.store, roots=authority.roots)
    assert (report.findings, report.stamp) == ((), stamp)
    keep(sealed.store, AT)
    assert verify(sealed.store, roots=authority.roots).findings == ()


@pytest.mark.parametrize("turned", [False, True])
def test_a_stamp_counts_in_whatever_order_its_certificates_come(
    sealed: Desk, authority: Authority, here: StampingAuthority, tmp_path: Path, turned: bool
) -> None:
    with stamping_authority(tmp_path / "other") as other:
        chain = [here.roots.read_text(), other.roots.read_text()]
    here.chain = "".join(reversed(chain) if turned else chain)
    assert stamp_newest(sealed.store, authority, AT) is not None
    assert verify(sealed.store, roots=authority.roots).findings == ()


def test_of_both_orders_one_is_not_that_of_der(here: StampingAuthority, tmp_path: Path) -> None:
    with stamping_authority(tmp_path / "other") as other:
        chain = [here.roots.read_text(), other.roots.read_text()]
    query, answers = TimestampRequestBuilder(b"any", HashAlgorithm.SHA256).build().as_bytes(), []
    for here.chain in ("".join(chain), "".join(reversed(chain))):
        answers.append(here.stamp(query))
    changed = [certificates_in_order(each) != each for each in answers]
    assert any(changed)
    assert [len(certificates_in_order(each)) for each in answers] == [len(each) for each in answers]


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\x30\x82" + tail))
def test_what_is_no_stamp_stays_as_it_is(content: bytes) -> None:
    assert certificates_in_order(content) == content


def test_without_a_stamp_that_counts_the_seal_stays_unstamped_and_the_next_try_may_succeed(
    sealed: Desk, authority: Authority, here: StampingAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Authority("http://127.0.0.1:9/", authority.roots)
    refused(sealed, nobody, "does not answer: ConnectError")
    here.redirect = f"{here.url}/another"
    refused(sealed, authority, "answers 307")
    here.redirect, here.answers = "", False
    refused(sealed, authority, "answers 503")
    here.answers, here.instead = True, b"0" * (MOST_BYTES + 1)
    refused(sealed, authority, "longer than")
    here.instead = b"<html>"
    refused(sealed, authority, "cannot be read")
    here.instead = here.stamp(b"no query")
    refused(sealed, authority, "the authority refuses")
    another = TimestampRequestBuilder(b"another", HashAlgorithm.SHA256).build()
    here.instead = here.stamp(another.as_bytes())
    refused(sealed, authority, "stamps something else")
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patched:
        patched.setattr("tasks.integrity.authority.SECONDS", 0.2)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        refused(sealed, Authority(address, authority.roots), "does not answer")
    assert verify(sealed.store).stamp is None
    here.instead = None
    assert stamp_newest(sealed.store, authority, AT) is not None


def refused(desk: Desk, authority: Authority, said: str) -> None:
    """Ask an authority that gives no stamp that counts."""
    with pytest.raises(NoStamp, match=said):
        stamp_newest(desk.store, authority, AT)


def test_a_stamp_by_somebody_else_does_not_count(sealed: Desk, authority: Authority, tmp_path: Path) -> None:
    with stamping_authority(tmp_path / "other") as other:
        with pytest.raises(NoStamp, match="do not vouch"):
            stamp_newest(sealed.store, Authority(other.url, authority.roots), AT)
        assert stamp_newest(sealed.store, Authority(other.url, ()), AT) is not None
    assert verify(sealed.store).findings == ()
    [finding] = verify(sealed.store, roots=authority.roots).findings
    assert "seal_stamps, 1: is no stamp of its seal: the certificates" in str(finding)


def test_the_stamp_of_a_seal_that_was_written_anew_is_found(sealed: Desk, authority: Authority) -> None:
    stamp_newest(sealed.store, authority, AT)
    with sealed.store.writing() as connection, lifted(connection, "seals"):
        connection.execute(sa.text("UPDATE seals SET hash = '1:' || substr(hash, 4) || '0'"))
    assert "seal_stamps, 1: is no stamp of its seal: it stamps something else" in [
        str(each) for each in verify(sealed.store).findings
    ]


def test_stamps_go_with_the_archive(sealed: Desk, authority: Authority, tmp_path: Path) -> None:
    stamp = stamp_newest(sealed.store, authority, AT)
    kept(sealed.store, tmp_path / "kept.zip")
    brought_back(tmp_path / "kept.zip", f"sqlite:///{tmp_path / 'there.db'}")
    there = Desk.open(f"sqlite:///{tmp_path / 'there.db'}")
    report = verify(there.store, roots=authority.roots)
    assert (report.findings, report.stamp) == ((), stamp)
    there.store.close()


def test_certificates_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing", encoding="utf-8")
    with pytest.raises(BadInput, match="no certificate"):
        trusted_roots(tmp_path / "roots.pem")
    with pytest.raises(BadInput, match="cannot be read"):
        trusted_roots(tmp_path / "nowhere.pem")
    assert trusted_roots(None) == ()
