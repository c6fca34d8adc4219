import io
import json
from collections.abc import Callable

import pytest
from billing.telemetry import METRICS
from rich.console import Console, RenderableType

from infra.cli.books.ledger_export import neutral
from infra.cli.commands.watch import COUNTED, SHOWN, answer, figures
from infra.cli.output import Output, facts, json_line, printable, table

SESSION = "cs_test_" + "a1B2" * 15
TALL: list[Callable[[], RenderableType]] = [
    lambda: table("Payments", ("payment", "session", "units"), [["pay_" + "0" * 32, SESSION, 100]]),
    lambda: facts("Payment", {"session_id": SESSION}),
]


@pytest.mark.parametrize("made", TALL)
def test_ids_are_whole_on_a_narrow_terminal(made: Callable[[], RenderableType]) -> None:
    """They are there to be copied: folded, never cut."""
    file = io.StringIO()
    Console(file=file, width=60).print(made())
    text = file.getvalue()
    assert "…" not in text
    assert sum(text.count(letter) for letter in "B") >= 15


def _minutes(width: int) -> str:
    file = io.StringIO()
    row = ["12:34", *([12345] * len(SHOWN))]
    Console(file=file, width=width).print(table("Minutes", ("minute", *SHOWN), [row], tight=True))
    return file.getvalue()


def test_the_minutes_have_the_metrics_own_names() -> None:
    """In 132 columns no heading is folded."""
    assert _minutes(132).splitlines()[1].split() == ["minute", *SHOWN]


def test_the_minutes_fit_eighty_columns() -> None:
    """Headings are folded, figures never."""
    last = _minutes(80).splitlines()[-2]
    assert last.split() == ["12:34", *(["12345"] * len(SHOWN))]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        (None, ""),
        ("日本", "日本"),
    ],
)
def test_control_characters_are_spelled_out(given: object, shown: str) -> None:
    assert printable(given) == shown


def test_every_figure_that_watch_shows_is_emitted_under_that_name() -> None:
    """A renamed metric must not become a column of zeros."""
    assert set(COUNTED) <= set(METRICS)


@pytest.mark.parametrize("line", ["START RequestId: 1", "[1]", "{}", '{"settled": 1}', ""])
def test_lines_that_are_no_metrics_count_nothing(line: str) -> None:
    assert figures(line) == {}


def test_metrics_are_summed_over_their_values() -> None:
    """One line may hold several."""
    assert figures('{"_aws": {}, "settled": [1.0, 1.0], "parked": 3, "other": [9]}') == {
        "settled": 2,
        "parked": 3,
    }
    assert answer({})["minutes"] == []


@pytest.mark.parametrize(
    "value", ["\x1b[31m", "\x9b31m", "\u202egnp", "\U000e0041", "日本", "plain"]
)
def test_a_json_line_is_the_same_document_and_nothing_that_a_terminal_obeys(value: str) -> None:
    """C1 control characters and those that turn text around are no control characters to JSON."""
    line = json_line({"user_id": value})
    assert json.loads(line) == {"user_id": value}
    assert line[:-1].isprintable()


def test_a_customer_under_a_progress_bar_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither markup nor an escape sequence of a user id is obeyed there."""
    screen, file = Output(as_json=False), io.StringIO()
    screen.err = Console(file=file, force_terminal=True, width=100, color_system=None)
    monkeypatch.setenv("TERM", "xterm")
    with screen.progress("looking", 1) as bar:
        bar(now="[red]alice\x1b]0;title\x07")
    assert "[red]alice\\x1b]0;title\\x07" in file.getvalue()


@pytest.mark.parametrize(
    "begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_a_cell_that_a_spreadsheet_would_run_is_marked(begin: str) -> None:
    """https://owasp.org/www-community/attacks/CSV_Injection."""
    assert neutral(f"{begin}1+1") == f"'{begin}1+1"


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''", "alice", "", "a=1", "-5"])
def test_a_marked_cell_can_be_undone(text: str) -> None:
    """One apostrophe is taken away from every cell that begins with one."""
    marked = str(neutral(text))
    assert marked[marked.startswith("'") :] == text


@pytest.mark.parametrize("number", [-5, 0, 100])
def test_a_number_stays_a_number(number: int) -> None:
    assert neutral(number) == number
