from pathlib import Path

import pytest

from itp_events.errors import BadInput
from tasks.delivery.channels import AUDIENCES, CONSOLE, Channels, problems
from tasks.delivery.naming import address

pytestmark = pytest.mark.requirement("DLV-05")

SECRET = "s3cret"


def config(path: Path, *lines: str, name: str = "apprise.txt") -> Path:
    file = path / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def everybody(url: str = "json://127.0.0.1:1/all") -> str:
    return f"{', '.join(AUDIENCES)}={url}"


def test_a_configuration_that_reaches_every_audience_has_no_problems(tmp_path: Path) -> None:
    assert problems(config(tmp_path, everybody())) == []


def test_yaml_is_read_as_well_as_text(tmp_path: Path) -> None:
    lines = ["version: 1", "urls:", "  - json://127.0.0.1:1/x:", "      - tag: sponsor"]
    channels = Channels.from_config(config(tmp_path, *lines, name="apprise.yml"))
    assert [each.id for each in channels.of("sponsor")] == [each.id for each in channels.configured]


@pytest.mark.parametrize("name", ["100%25.txt", "a%20b.yml", "what?.conf", "trial #7.txt", "研究 '1'.yaml"])
def test_a_file_is_read_whatever_letters_its_name_has(tmp_path: Path, name: str) -> None:
    lines = ["urls:", "  - json://127.0.0.1:1/x:", "      - tag: always"]
    file = config(tmp_path, *(lines if "y" in name else [everybody()]), name=name)
    assert problems(file) == []


def test_a_file_that_windows_wrote_loses_no_line(tmp_path: Path) -> None:
    file = tmp_path / "apprise.txt"
    file.write_text(
        f"{everybody()}\ncoordinator=json://127.0.0.1:1/鼻\n", encoding="utf-8-sig", newline="\r\n"
    )
    assert problems(file) == []
    assert len(Channels.from_config(file).of("coordinator")) == 2


def test_without_a_configuration_everything_goes_to_the_console() -> None:
    channels = Channels.from_config(None)
    assert channels.of("coordinator", "01") == [CONSOLE]
    assert problems(None) == [
        "no Apprise configuration: every notice is printed by the service; set ITP_APPRISE_CONFIG"
    ]


def test_a_missing_file_is_refused_with_the_setting_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"ITP_APPRISE_CONFIG: .*nowhere\.txt is not a file"):
        Channels.from_config(tmp_path / "nowhere.txt")
    assert len(problems(tmp_path / "nowhere.txt")) == 1


def test_a_line_that_apprise_cannot_use_is_pointed_out_and_the_rest_is_used(tmp_path: Path) -> None:
    file = config(tmp_path, everybody(), "coordinator=nosuch://somewhere")
    assert len(Channels.from_config(file).of("coordinator")) == 1
    assert [line.partition(":")[0] for line in problems(file)] == ["apprise.txt"]


def test_an_empty_file_is_pointed_out(tmp_path: Path) -> None:
    assert any("no usable Apprise URL" in line for line in problems(config(tmp_path, "# nothing")))


def test_an_audience_without_an_address_is_pointed_out(tmp_path: Path) -> None:
    file = config(tmp_path, "coordinator, investigator, sponsor, ops-01=json://127.0.0.1:1/x")
    assert problems(file) == ["no URL is tagged cell-lab: its notices are printed by the service"]


def test_an_address_that_nobody_uses_is_pointed_out(tmp_path: Path) -> None:
    file = config(tmp_path, everybody(), "family=json://127.0.0.1:1/home", "cra-chen=json://127.0.0.1:1/chen")
    assert problems(file) == []
    channels = Channels.from_config(file)
    assert [each.label.partition(" ")[0] for each in channels.unused(["cra.chen"])] == ["family"]
    assert len(channels.unused([])) == 2


def test_the_tag_always_gets_everything(tmp_path: Path) -> None:
    file = config(tmp_path, "always=json://127.0.0.1:1/archive")
    assert problems(file) == []
    assert len(Channels.from_config(file).of("ops")) == 1


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("mailtos://u:pw@example.org?to=a@example.org,b@example.org", 2),
        ("tgram://123456789:abcdefg_hijklmnop/11111/22222/33333", 3),
        ("json://127.0.0.1:1/x", 1),
    ],
)
def test_an_address_with_several_recipients_is_split(tmp_path: Path, url: str, count: int) -> None:
    channels = Channels.from_config(config(tmp_path, everybody(url)))
    recipients = channels.of("coordinator")
    assert not channels.problems
    assert len({each.id for each in recipients}) == len({each.label for each in recipients}) == count


def test_a_mail_with_copies_is_refused(tmp_path: Path) -> None:
    file = config(tmp_path, everybody("mailtos://u:pw@example.org?to=a@example.org&cc=b@example.org"))
    assert any("reaches several recipients at once" in line for line in problems(file))
    assert Channels.from_config(file).of("coordinator") == [CONSOLE]


def test_an_address_listed_twice_is_one_recipient(tmp_path: Path) -> None:
    url = "json://127.0.0.1:1/x"
    channels = Channels.from_config(config(tmp_path, f"coordinator={url}", f"coordinator, sponsor={url}"))
    assert channels.of("coordinator") == channels.of("sponsor")
    assert len(channels.configured) == 1


def test_apprises_own_retries_and_leniency_are_off(tmp_path: Path) -> None:
    url = "json://127.0.0.1:1/x?retry=5&optional=yes&emojis=yes"
    [recipient] = Channels.from_config(config(tmp_path, everybody(url))).of("ops")
    assert recipient.server
    assert (recipient.server.retry, recipient.server.optional) == (0, False)
    assert not recipient.server.interpret_emojis


@pytest.mark.requirement("SEC-04")
def test_labels_ids_and_problems_hold_no_secret(tmp_path: Path) -> None:
    file = config(
        tmp_path,
        f"coordinator=json://user:{SECRET}@127.0.0.1:1/x?+Authorization={SECRET}",
        f"ops=nosuch://user:{SECRET}@127.0.0.1/",
        f"sponsor=mailtos://u:{SECRET}@example.org?to=a@example.org&cc=b@example.org",
    )
    channels = Channels.from_config(file)
    shown = [each.label + each.id for each in channels.configured] + list(channels.problems)
    assert len(shown) > 3
    assert SECRET not in "".join(shown)


def test_an_audience_is_told_at_its_site(tmp_path: Path) -> None:
    lines = ("coordinator=json://127.0.0.1:1/all", "coordinator-sh1=json://127.0.0.1:1/one")
    channels = Channels.from_config(config(tmp_path, *lines))
    assert len(channels.of("coordinator", "SH1")) == 2
    assert len(channels.of("coordinator", "SH2")) == 1


def test_a_configuration_takes_nothing_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRISE_TEMPLATE_PLACE", "elsewhere")
    lines = ["template:", "  - PLACE", "urls:", "  - json://127.0.0.1/${PLACE}:", "      - tag: sponsor"]
    channels = Channels.from_config(config(tmp_path, *lines, name="apprise.yml"))
    [recipient] = channels.of("sponsor")
    assert recipient.server
    assert "PLACE" in address(recipient.server, privacy=False)
