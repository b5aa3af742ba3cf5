"""It is said when links in messages open on this machine alone, while the messages leave it."""

import os
import subprocess
from pathlib import Path

import pytest

from deployments.bootstrap.reach import unreachable_links
from deployments.bootstrap.settings import Settings
from tasks.delivery.channels import Channels
from tests.deployments.cli.conftest import PROGRAM
from tests.support import free_port

pytestmark = pytest.mark.requirement("RUN-06")

MAIL = "mailto://user:pass@mail.example.org?to=crc@example.org"


def channels(path: Path, *urls: str) -> Channels:
    file = path / "apprise.conf"
    file.write_text("\n".join(f"coordinator={url}" for url in urls) + "\n")
    return Channels.from_config(file)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8300",
        "http://127.8.9.10:8300",
        "http://localhost:8300/",
        "http://itp.localhost",
        "http://[::1]:8300",
        "http://0.0.0.0:8300",
        "http://[::]:8300",
    ],
)
def test_links_that_open_on_this_machine_alone_are_no_use_to_people_elsewhere(
    tmp_path: Path, url: str
) -> None:
    told = channels(tmp_path, MAIL, "json://127.0.0.1:9/x")
    said = unreachable_links(Settings(public_url=url), told)
    assert said == (
        f"links in messages lead to {url.rstrip('/')}, which opens on this machine alone, "
        "and 1 recipient is elsewhere"
    )


@pytest.mark.parametrize(
    "url", ["https://itp.hospital.example", "http://10.0.0.7:8300", "http://ward-pc:8300"]
)
def test_links_that_may_open_are_not_complained_of(tmp_path: Path, url: str) -> None:
    assert unreachable_links(Settings(public_url=url), channels(tmp_path, MAIL)) is None


def test_without_a_public_address_the_links_lead_where_the_api_listens(tmp_path: Path) -> None:
    told = channels(tmp_path, MAIL)
    assert unreachable_links(Settings(), told)
    assert unreachable_links(Settings(api_host="0.0.0.0"), told)
    assert unreachable_links(Settings(api_host="10.0.0.7"), told) is None


@pytest.mark.parametrize(
    ("url", "leaves"),
    [
        ("json://127.0.0.1:9/x", False),
        ("xmls://localhost/x", False),
        ("form://[::1]/x", False),
        ("syslog://", False),
        ("json://10.0.0.8/x", True),
        ("mailto://127.0.0.1:25?from=a@example.org&to=b@example.org&mode=insecure", True),
        ("ntfy://127.0.0.1/ward", True),
        (f"wecombot://{'a' * 30}", True),
    ],
)
def test_a_message_leaves_this_machine_unless_its_url_keeps_it_here(
    tmp_path: Path, url: str, leaves: bool
) -> None:
    [recipient] = channels(tmp_path, url).configured
    assert recipient.is_elsewhere is leaves


def test_the_console_is_here(tmp_path: Path) -> None:
    assert unreachable_links(Settings(), Channels()) is None


def test_the_api_warns_at_its_start(tmp_path: Path) -> None:
    channels(tmp_path, MAIL)
    mine = {
        "ITP_DATA_DIR": str(tmp_path / "data"),
        "ITP_API_PORT": str(free_port()),
        "ITP_APPRISE_CONFIG": str(tmp_path / "apprise.conf"),
    }
    with subprocess.Popen(
        [PROGRAM, "api"], env=os.environ | mine, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as api:
        assert api.stderr is not None
        said = next(line for line in api.stderr if line.startswith("Warning: links"))
        api.terminate()
    assert said.startswith("Warning: links in messages lead to http://127.0.0.1:")
    assert said.endswith("; set ITP_PUBLIC_URL to the address at which people reach the service\n")
