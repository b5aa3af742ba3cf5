import ssl

import pytest

from flows.prefect_api.flow_runs import FlowRuns
from tasks.tls import trusted

pytestmark = pytest.mark.requirement("PRF-01")


def test_the_certificates_are_read_once_and_trust_is_asked_for() -> None:
    assert trusted() is trusted()
    assert trusted().verify_mode is ssl.CERT_REQUIRED
    assert trusted().check_hostname


def test_a_client_of_prefect_s_api_reads_no_certificates_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door opens one for each event."""
    trusted(trust_env=False)

    def read_again(*_: object, **__: object) -> None:
        pytest.fail("the certificates were read again")

    monkeypatch.setattr(ssl, "create_default_context", read_again)
    FlowRuns("https://prefect.example/api").close()
