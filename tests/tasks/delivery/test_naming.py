"""People read the name of a recipient, never its address: the address of a phone is its number."""

from pathlib import Path

import pytest

from tasks.delivery.channels import Channels, Recipient
from tasks.delivery.naming import address, unspoken

pytestmark = pytest.mark.requirement("SEC-04")

PHONES = ("13800138000", "13900139000")
SMS = f"clicksend://user:password@{'/'.join(PHONES)}"


def recipients(tmp_path: Path, *lines: str) -> list[Recipient]:
    file = tmp_path / "apprise.conf"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(Channels.from_config(file).configured)


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (SMS, PHONES[0]),
        (f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/{PHONES[0]}", PHONES[0]),
        (f"signal://127.0.0.1:9999/15551234567/{PHONES[0]}", PHONES[0]),
        ("mailtos://user:password@example.org?to=li.hua@example.org", "li.hua"),
        ("tgram://123456789:abcdefg_hijklmnop/987654321", "987654321"),
    ],
    ids=["clicksend", "twilio", "signal", "mail", "telegram"],
)
def test_a_recipient_is_called_by_its_tags_and_its_provider(tmp_path: Path, url: str, number: str) -> None:
    found = recipients(tmp_path, f"coordinator, crc-li={url}")
    assert found
    for each in found:
        assert each.label.startswith("coordinator, crc-li (")
        assert number not in each.label


def test_two_recipients_of_the_same_tags_have_two_names(tmp_path: Path) -> None:
    names = [each.label for each in recipients(tmp_path, f"coordinator={SMS}")]
    assert len(set(names)) == 2
    assert all(name.startswith("coordinator (ClickSend ") for name in names)


def test_an_address_that_stands_twice_is_called_by_all_its_tags(tmp_path: Path) -> None:
    url = "json://127.0.0.1:1/x"
    [recipient] = recipients(tmp_path, f"coordinator={url}", f"crc-li={url}")
    assert recipient.label.startswith("coordinator, crc-li (JSON ")


def test_a_problem_of_the_configuration_names_no_address(tmp_path: Path) -> None:
    file = tmp_path / "apprise.conf"
    file.write_text("coordinator=mailtos://u:p@example.org?to=li.hua@example.org&cc=wang@example.org\n")
    said = "".join(Channels.from_config(file).problems)
    assert "coordinator (E-Mail) reaches several recipients at once" in said
    assert "li.hua" not in said


def test_what_a_provider_answers_is_kept_without_the_number(tmp_path: Path) -> None:
    recipient = recipients(tmp_path, f"coordinator={SMS}")[0]
    assert recipient.server
    number = next(each for each in PHONES if each in address(recipient.server, privacy=False))
    said = unspoken(f"the number {number} is not reachable", recipient.server)
    assert said == "the number *** is not reachable"
