"""The two forms of the pack: one HTML page that needs no network, and one PDF to be signed and filed."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
from fpdf import FPDF
from fpdf.fonts import FontFace
from markupsafe import Markup, escape

from deployments.html_page import templates
from validation.pack import Pack, Shown
from validation.requirements import HERE, Risk, protocol_rules
from validation.results import TestResult, totals

ABOUT = (
    "Each requirement has its source, its risk before anything guards against it (harm x probability x how "
    "hard to notice, each from 1 to 3), and the tests that name it, with their result in the run above. A "
    "requirement is shown when a test of it passed and none failed. No result here was entered by hand."
)
# Matplotlib brings them, and the service needs Matplotlib.
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def counted(test: TestResult) -> str:
    """What became of a test's cases, as `passed` or `3 passed, 1 failed`."""
    if test.cases.total() == 1:
        return test.outcome
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(test.cases.items()) if number)


def rules(pack: Pack) -> dict[str, list[str]]:
    """The rules of the protocol file, each with the requirements that cover it."""
    return {
        rule: [each.requirement.id for each in pack.shown if rule in each.requirement.protocol]
        for rule in protocol_rules()
    }


def page(pack: Pack) -> str:
    """The pack as HTML."""
    environment = templates(HERE)
    environment.filters["code"] = _code
    return environment.get_template("pack.html.j2").render(
        pack=pack, totals=totals(pack.results), rules=rules(pack), about=ABOUT, counted=counted
    )


def _code(text: str) -> Markup:
    """A text in which what stands between backticks is a command or a name."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


class _Document(FPDF):
    def footer(self) -> None:
        """Number each page."""
        self.set_y(-12)
        self.set_font("DejaVu", size=7)
        self.cell(0, 6, f"Page {self.page_no()} of {{nb}}", align="C")

    def heading(self, text: str, size: int = 12) -> None:
        """A heading above a table."""
        self.ln(3)
        self.set_font("DejaVu", "B", size)
        self.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT")
        self.set_font("DejaVu", size=7)

    def rows(self, head: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> None:
        """A table whose head, where it has one, stands on each page."""
        style = FontFace(emphasis="BOLD", fill_color=(242, 245, 249))
        self.set_font("DejaVu", size=7)
        with self.table(
            col_widths=tuple(widths),
            first_row_as_headings=bool(head),
            headings_style=style,
            line_height=3.6,
            text_align="LEFT",
            v_align="TOP",
        ) as table:
            for row in (head, *rows) if head else rows:
                table.row([text.replace("`", "") for text in row])


def write_pdf(pack: Pack, path: Path) -> None:
    """Write the pack as PDF."""
    document = _Document(orientation="landscape", format="A4")
    document.set_title("Validation pack of ITP visits")
    document.add_font("DejaVu", fname=_FONTS / "DejaVuSans.ttf")
    document.add_font("DejaVu", style="B", fname=_FONTS / "DejaVuSans-Bold.ttf")
    document.set_auto_page_break(auto=True, margin=15)
    document.add_page()
    _front(document, pack)
    _requirements(document, pack)
    _regulations(document, pack)
    document.heading("Rules of the protocol file")
    document.rows(
        ("Rule", "Requirements"), ((rule, " ".join(names)) for rule, names in rules(pack).items()), (40, 60)
    )
    _qualification(document, pack)
    _left_out(document, pack)
    document.heading("Signatures (by hand, after reading)")
    who = ("Prepared by", "Reviewed by (quality)", "Approved by (owner of the process)")
    document.rows(
        ("", "Name", "Date", "Signature"), ((each, "\n\n", "", "") for each in who), (30, 30, 15, 25)
    )
    document.output(str(path))


def _front(document: _Document, pack: Pack) -> None:
    document.heading(f"Validation pack of ITP visits: {'passed' if pack.passed else 'NOT PASSED'}", 16)
    counts = totals(pack.results)
    cases = f"{counts['passed']} cases passed, {counts['failed']} failed, {counts['skipped']} skipped"
    tests = f"{cases}, of {len(pack.results)} tests"
    verdicts = Counter(each.verdict for each in pack.shown)
    shown = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("shown", "failed", "not run"))
    facts = [*pack.run.items(), ("Tests", tests), ("Requirements", shown)]
    document.rows((), ((name, str(value)) for name, value in facts), (20, 80))
    document.ln(2)
    document.multi_cell(0, 4, ABOUT, new_x="LMARGIN", new_y="NEXT")


def _requirements(document: _Document, pack: Pack) -> None:
    for area, entries in pack.areas.items():
        document.heading(f"Requirements: {area}")
        document.rows(
            ("Id", "Requirement, source", "Risk", "Tests and steps", "Result"),
            (
                (
                    each.requirement.id,
                    f"{each.requirement.says}\nSource: {'; '.join(each.requirement.sources)}",
                    _risk(each.requirement.risk),
                    "\n".join([*_steps(each), *_by_file(each.tests)]),
                    each.verdict,
                )
                for each in entries
            ),
            (7, 33, 22, 31, 7),
        )


def _risk(risk: Risk) -> str:
    return f"{risk.kind} ({risk.priority}): {risk.why}"


def _steps(shown: Shown) -> list[str]:
    return [f"{step['id']} {step['outcome']}" for step in shown.steps]


def _by_file(tests: Iterable[TestResult]) -> list[str]:
    """Each file of tests with how many passed, and those that did not by name; the page names them all."""
    files: dict[str, list[TestResult]] = {}
    for each in tests:
        files.setdefault(each.name.partition("::")[0], []).append(each)
    lines = []
    for file, found in files.items():
        passed = sum(each.outcome == "passed" for each in found)
        lines.append(f"{file.removeprefix('tests/')}: {passed} of {len(found)} passed")
        lines += [
            f"  {each.name.partition('::')[2]}: {counted(each)}" for each in found if each.outcome != "passed"
        ]
    return lines


def _regulations(document: _Document, pack: Pack) -> None:
    for regulation in pack.regulations:
        document.heading(regulation.name)
        document.rows(
            ("Point", "Asks", "What the service does", "Shown by", "What the site must do"),
            (
                (
                    point.point,
                    point.asks,
                    point.service or "",
                    "\n".join(f"{name} {pack.verdict_of(name)}" for name in point.requirements),
                    point.site or "",
                )
                for point in regulation.points
            ),
            (7, 26, 30, 12, 25),
        )


def _qualification(document: _Document, pack: Pack) -> None:
    shown = pack.qualification
    document.heading(f"Qualification in this run: {'passed' if shown['passed'] else 'NOT PASSED'}")
    document.rows(
        ("Step", "What it shows", "What was done and found", "Result"),
        (
            (
                step["id"],
                f"{step['title']}\n{', '.join(step['requirements'])}",
                "\n".join([*step["did"], *([step["error"]] if step["error"] else [])]),
                step["outcome"],
            )
            for step in shown["steps"]
        ),
        (7, 28, 57, 8),
    )


def _left_out(document: _Document, pack: Pack) -> None:
    document.heading("What was left out")
    skipped = [(each.name, "; ".join(sorted(each.reasons))) for each in pack.skipped]
    tools = [(trace.test, trace.tooling or "") for trace in pack.tooling]
    document.rows(("Test", "Why it did not run, or shows no requirement"), [*skipped, *tools], (50, 50))
