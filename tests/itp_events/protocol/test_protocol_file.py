"""A wrong protocol file is refused with its line and a plain reason; a right one is read as it stands."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from itp_events.errors import BadProtocol
from itp_events.protocol.checks import CRITERIA, findings
from itp_events.protocol.file import BUILT_IN, load_protocol, parse_protocol
from itp_events.rules.withdrawal import FLAGGED

pytestmark = pytest.mark.requirement("PRO-02")

TEXT = BUILT_IN.read_text(encoding="utf-8")
INF2 = "{code: INF2, label: Infusion 2, epoch: treatment, anchor: INF1, target: P1W, before: P1D, after: P1D,"


def _changed(old: str, new: str) -> tuple[str, int]:
    """The built-in file with a passage changed, and the line on which that passage begins."""
    assert TEXT.count(old) == 1, f"{TEXT.count(old)} times: {old}"
    return TEXT.replace(old, new), TEXT[: TEXT.index(old)].count("\n") + 1


def _refusal(text: str) -> BadProtocol:
    with pytest.raises(BadProtocol) as caught:
        parse_protocol(text, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml:{caught.value.line}: ")
    assert "\n" not in str(caught.value)
    return caught.value


def _without(*names: str) -> str:
    data = yaml.load(TEXT, yaml.CSafeLoader)
    node = data
    for name in names[:-1]:
        node = node[name]
    del node[names[-1]]
    return yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def test_the_built_in_file_is_right() -> None:
    assert list(findings(parse_protocol(TEXT, "built-in"))) == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("anchor: INF1, target: P1W", "anchor: INF3, target: P1W", "circular anchor: INF2 -> INF3 -> INF2"),
        ("anchor: INF1, target: P1W", "anchor: INF2, target: P1W", "circular anchor: INF2 -> INF2"),
        (
            "anchor: INF1, target: P1W",
            "anchor: INF9, target: P1W",
            "the anchor 'INF9' of INF2 is not a visit",
        ),
        ("anchor: INF1, target: P1W", "anchor: end-of-treatment, target: P1W", "circular anchor: INF2 is "),
        ("code: INF3, label", "code: INF2, label", "INF2 stands more than once"),
        ("code: INF3, label", "code: inf3, label", "visits.2.code: must match pattern"),
        ("label: Infusion 2, ", "lable: Infusion 2, ", "visits.1.lable: unknown field"),
        ("label: Infusion 2, ", "", "visits.1.label: this field is required"),
        ("target: P1W, before: P1D", "target: 1W, before: P1D", "must be an ISO 8601 duration in whole days"),
        (
            "target: P1W, before: P1D",
            "target: PT5H, before: P1D",
            "must be an ISO 8601 duration in whole days",
        ),
        ("target: P1W, before: P1D", "target: P1W, before: -P1D", "visits.1.before: must not be negative"),
        ("target: P1W, before: P1D", "target: P1W, before: P-1D", "visits.1.before: must not be negative"),
        (
            "target: P1W, before: P1D",
            "target: P1W, before: PT72H",
            "must be an ISO 8601 duration in whole days",
        ),
        ("target: P1W, before: P1D", "target: P99999D, before: P1D", "must be an ISO 8601 duration"),
        ("target: P1W, before: P1D", "target: P, before: P1D", "must be an ISO 8601 duration"),
        ("target: P1W, before: P1D", "target: P1W, before: P1M", "a window is counted in days or weeks"),
        ("Infusion 2, epoch: treatment", "Infusion 2, epoch: baseline", "must be 'treatment' or 'follow-up'"),
        ("time_zone: Asia/Shanghai", "time_zone: Asia/Beijing", "unknown time zone 'Asia/Beijing'"),
        ("calendar: CN", "calendar: XX", "unknown working calendar 'XX'"),
        ("calendar: CN", "calendar: NO", "must be text; put it in quotes"),
        ("language: en", "language: fr", "must be 'en' or 'zh-CN'"),
        ("default: {time_zone", "main: {time_zone", "a `default` site is required"),
        ('version: "1"', "version: 1", "must be text; put it in quotes"),
        ('version: "1"', 'version: ""', "version: must have at least 1 character"),
        ("days: -1, audience: coordinator", "days: soon, audience: coordinator", "must be a whole number"),
        ("days: -1, audience: coordinator", "days: -9999999, audience: coordinator", "must be greater than"),
        ("prepares_cells: true", "prepares_cells: maybe", "must be true or false"),
        ('notices_at: "09:00"', "notices_at: 10:00", "must be a local time of day in quotes"),
        ('notices_at: "09:00"', 'notices_at: "9 am"', "must be a local time of day in quotes"),
        ("  follow-up:\n    - {step: T-14d", "  baseline:\n    - {step: T-14d", "must be 'treatment' or "),
        ("days: -1, audience: coordinator", "days: -1, audience: coordinators", "must be 'coordinator', "),
        ("step: T-1d", "step: T-7d", "T-7d to coordinator stands more than once"),
        ("step: T-1d", "step: T/1d", "must be letters, digits and hyphens"),
        ("step: rung-2, day: 3", "step: rung-2, day: 1", "rung-2 must come on a later day than rung-1"),
        ("step: rung-2, day: 3", "step: rung-1, day: 3", "ladder.rungs.1.step: rung-1 stands more than once"),
        ("later: {sponsor: 3}", "later: {sponsor: 0}", "must be greater than or equal to 1"),
        ("later: {sponsor: 3}", "later: {investigator: 3}", "an audience stands more than once"),
        ("missed_on_day: 20", "missed_on_day: 6", "must be after rung-3 on day 6"),
        ("  majority: {audiences: [coordinator]", "  majority: {audiences: []", "at least one audience"),
        ("clock_hours: [20, 24], ", "", "clock_hours must name at least one hour"),
        ("clock_hours: [20, 24], ", "clock_hours: [24, 20], ", "in rising order"),
        ("every_working_days: 5, ", "", "every_working_days is required"),
        ("  majority: {", "  adulthood: {", "must be 'sae', 'out-of-window'"),
        (
            "criterion: rescue-medication",
            "criterion: wrong-medication",
            "unknown criterion 'wrong-medication'",
        ),
        ("criterion: rescue-medication", "criterion: death", "death stands more than once"),
        ("grade: 4, ", "", "adverse-event needs grade"),
        ("grade: 4, ", "grade: 0, ", "must be at least 1"),
        ("in_a_row: 2, ", "", "missed-infusions needs in_a_row"),
        ("attempts: 3, ", "", "lost-to-follow-up needs attempts"),
        ("days_after_close: 14, ", "", "lost-to-follow-up needs days_after_close"),
        ("decode: DEATH", "grade: 4, decode: DEATH", "means nothing for death"),
        ("decode: DEATH", "decode: DIED", "must be a DSDECOD"),
        ("{criterion: death, effect: exit", "{criterion: death, effect: flag", "the effect of death is exit"),
        ("age_years: {at_least: 4, at_most: 75", "age_years: {at_least: 4", "at_most is required"),
        ("age_years: {at_least: 4", "age_years: {at_least: 80", "at_least is more than at_most"),
        (
            "  itp_months: {more_than: 3, source: synopsis}\n",
            "",
            "eligibility.itp_months: this field is required",
        ),
        ("id: NCT06813157\n", "id: NCT06813157\nid: again\n", "'id' is given twice"),
        ("cells_per_kg: 1.0e+8", "cells_per_kg: 0", "must be greater than 0"),
    ],
)
def test_a_wrong_passage_is_refused_with_its_line_and_the_reason(old: str, new: str, reason: str) -> None:
    text, line = _changed(old, new)
    refusal = _refusal(text)
    assert reason in str(refusal)
    assert refusal.line in _lines_of(line, old, new, reason)


def _lines_of(line: int, old: str, new: str, reason: str) -> range:
    """The line of the passage; a field that is missing is looked for from the top of its mapping."""
    if reason.endswith("required") and reason != "every_working_days is required":
        return range(line - 3, line + 1)
    return range(line, line + max(old.count("\n"), new.count("\n")) + 1)


def test_a_list_of_reminders_for_each_epoch_is_required() -> None:
    assert "reminders: the list for follow-up is missing" in str(_refusal(_without("reminders", "follow-up")))


def test_eligibility_is_required() -> None:
    assert "eligibility: this field is required" in str(_refusal(_without("eligibility")))


@pytest.mark.parametrize("name", [name for name, known in CRITERIA.items() if known.required])
def test_a_criterion_that_the_rules_always_need_is_required(name: str) -> None:
    data = yaml.load(TEXT, yaml.CSafeLoader)
    data["withdrawal"] = [row for row in data["withdrawal"] if row["criterion"] != name]
    assert f"withdrawal: the criterion {name} is missing" in str(
        _refusal(yaml.dump(data, Dumper=yaml.CSafeDumper))
    )


def test_the_flags_that_may_stand_in_the_file_are_those_that_the_program_can_raise() -> None:
    assert {name for name, known in CRITERIA.items() if known.effect == "flag"} == FLAGGED


def test_of_a_misspelt_and_a_missing_field_the_misspelt_one_is_named() -> None:
    text, line = _changed("id: NCT06813157", "idd: NCT06813157")
    refusal = _refusal(text)
    assert (refusal.line, refusal.problem) == (line, "idd: unknown field")


def test_of_several_flaws_the_first_is_named_and_the_others_are_counted() -> None:
    text, line = _changed(INF2, INF2.replace("P1W", "1W").replace("before: P1D", "before: 1"))
    refusal = _refusal(text.replace("missed_on_day: 20", "missed_on_day: never"))
    assert refusal.line == line
    assert "visits.1.target: must be an ISO 8601" in str(refusal)
    assert str(refusal).endswith("(and 2 more)")


def test_a_row_written_over_several_lines_is_refused_at_the_line_of_its_field() -> None:
    block = "code: INF2\n    label: Infusion 2\n    epoch: treatment\n    anchor: INF3\n    target: P1W\n"
    text, line = _changed("{" + INF2[1:], f"{block}    before: P1D\n    after: P1D\n   ")
    text = text.replace("after: P1D\n   \n     source: {target: synopsis, window: synopsis}}", _SOURCE, 1)
    assert _refusal(text).line == line + 3


_SOURCE = "after: P1D\n    source: {target: synopsis, window: synopsis}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n- b\n", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("id: [1, 2", "is not YAML"),
        ("id: a\n\tversion: b", "is not YAML"),
        ("id: a\n---\nid: b\n", "is not YAML"),
        ("id: !!python/object:os.system {}\n", "is not YAML"),
        ("id: &a [*a]\n", "must be text"),
        ("? [1]\n: 2\n", "is not YAML"),
        ("1: 2\n", "unknown field"),
        ("id: 2026-13-45\n", "holds a value that is none"),
        ("[" * 3000, "is not YAML"),
    ],
)
def test_a_text_that_is_no_protocol_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(BadProtocol) as caught:
        parse_protocol(text, "my.yaml")
    assert str(caught.value).startswith("my.yaml")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused_at_the_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"id: a\ntitle: \xe9tude\n")
    with pytest.raises(BadProtocol, match=r"latin\.yaml:2: is not UTF-8 text"):
        load_protocol(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadProtocol, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_protocol(tmp_path / "nowhere.yaml")


def test_a_folder_holds_versions_of_which_the_last_is_current(tmp_path: Path) -> None:
    (tmp_path / "v1.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "v2.yaml").write_text(TEXT.replace('version: "1"', 'version: "2"'), encoding="utf-8")
    protocol = load_protocol(tmp_path)
    assert (protocol.version, protocol.of_version("1").version) == ("2", "1")


def test_a_folder_without_a_protocol_and_one_with_a_version_twice_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadProtocol, match="holds no protocol file"):
        load_protocol(empty)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadProtocol, match="holds a version twice"):
        load_protocol(tmp_path)


def _drop(lines: list[str], at: int, _: random.Random) -> None:
    del lines[at]


def _double(lines: list[str], at: int, _: random.Random) -> None:
    lines.insert(at, lines[at])


def _shorten(lines: list[str], at: int, chance: random.Random) -> None:
    lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]


def _scramble(lines: list[str], at: int, chance: random.Random) -> None:
    words = lines[at].split(" ")
    words[chance.randrange(len(words))] = chance.choice(
        ["P3D", "-1", "null", "INF1", "{", "]", "x:", "1e400"]
    )
    lines[at] = " ".join(words)


@given(
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from([_drop, _double, _shorten, _scramble]), min_size=1, max_size=3),
)
def test_a_damaged_file_is_read_or_refused_with_a_line_of_it(
    chance: random.Random, damages: list[Callable[[list[str], int, random.Random], None]]
) -> None:
    lines = TEXT.splitlines()
    for damage in damages:
        damage(lines, chance.randrange(len(lines)), chance)
    refusal = _refused("\n".join(lines))
    assert refusal is None or "\n" not in str(refusal)
    assert refusal is None or refusal.line is None or 1 <= refusal.line <= len(lines) + 1


def _refused(text: str) -> BadProtocol | None:
    try:
        parse_protocol(text, "my.yaml")
    except BadProtocol as refusal:
        return refusal
    return None


def test_a_file_that_windows_wrote_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(TEXT, encoding="utf-8-sig", newline="\r\n")
    assert load_protocol(file) == load_protocol(BUILT_IN)
