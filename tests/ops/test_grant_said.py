"""What ``topup grant`` says and asks: each line, each refusal, and each answer to its question."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from billing.books import Books
from billing.deadline import Deadline
from billing.settlement import settlement
from billing.spending import debits
from support import builders
from support.fakes.memory_store import MemoryStore
from typer.testing import CliRunner

from infra.cli import operator
from infra.cli.app import app

REASON = ("--reason", "why")


class Here:
    """A stack whose tables are in memory."""

    def __init__(self, books: Books) -> None:
        """Of these books."""
        self._books = books

    def books(self) -> Books:
        """Them."""
        return self._books


class Terminal(io.StringIO):
    """Somebody types, and thinks before."""

    think: Callable[[], object] = staticmethod(lambda: None)

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """Think, then type."""
        self.think()
        return super().readline(size or -1)

    def isatty(self) -> bool:
        """They do."""
        return True


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    """Alice had 100 units, used 70, and the money went back: she owes 70. Bob has nothing."""
    found = builders.books_on(MemoryStore())
    monkeypatch.setattr(operator, "find_target", lambda *_: Here(found))
    return found


def _say(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["grant", *map(str, words)])
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    return done.exit_code, "\n".join(lines), done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("bob", 0, *REASON, "--yes"),
            2,
            (
                "0 units cannot be granted\n"
                "give a whole number from 1 to 1000000000, or a negative one\n"
            ),
        ),
        (
            ("bob", *REASON, "--yes", "--", -1),
            1,
            "bob has 0 units, 1 cannot be taken\ntake at most what is there\n",
        ),
        (
            ("bob", 6, *REASON, "--id", "T-1", "--yes"),
            1,
            "the id T-1 was used before: +5 units, 'why'\ngive another --id for another grant\n",
        ),
    ],
)
@pytest.mark.usefixtures("books")
def test_a_refusal_says_first_why_and_then_what_to_do(
    words: tuple[object, ...], code: int, said: str
) -> None:
    if "T-1" in words:
        _say("bob", 5, *REASON, "--id", "T-1", "--yes")
    assert _say(*words) == (code, "", said)


@pytest.mark.parametrize(
    ("units", "told"), [(1, "grant 1 units to bob"), (5, "grant 5 units to bob")]
)
@pytest.mark.usefixtures("books")
def test_what_was_given_is_shown_line_by_line(units: int, told: str) -> None:
    said = _say("bob", units, *REASON, "--id", "T-1", "--yes")
    assert said == (
        0,
        (
            f"{told}\nstatus     granted\ngrant id   T-1\nuser id    bob\n"
            f"units      {units}\nremaining  {units}\ndebt       0"
        ),
        "",
    )


@pytest.mark.parametrize("units", [1, 5])
@pytest.mark.usefixtures("books")
def test_what_was_taken_is_shown_as_such(units: int) -> None:
    _say("bob", 5, *REASON, "--yes")
    code, said, _ = _say("bob", *REASON, "--yes", "--", -units)
    assert (code, said.splitlines()[0]) == (0, f"take {units} units from bob")


@pytest.mark.parametrize(
    ("typed", "status", "remaining"),
    [("y", "granted", 5), (" YES ", "granted", 5), ("n", "not_granted", 0), ("", "not_granted", 0)],
)
def test_the_operator_is_asked_and_only_yes_is_yes(  # noqa: PLR0917 - fixtures and a table
    books: Books,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    status: str,
    remaining: int,
) -> None:
    """The question has what is there now."""
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    with pytest.raises(SystemExit) as ended:
        app(["grant", "bob", "5", *REASON, "--id", "T-1"])
    said = capsys.readouterr()
    assert ended.value.code in (0, None)
    assert "grant 5 units to bob (0 remain, 0 debt)? [y/N]" in said.err
    rows = dict(line.rsplit(None, 1) for line in said.out.splitlines() if "  " in line)
    assert {name.strip(): value for name, value in rows.items()}["status"] == status
    assert debits.read(books, "bob").remaining == remaining


def test_who_says_no_is_shown_what_there_is(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written."""
    paid = builders.pending(books, "alice")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    row = books.store.tables["quotas"]["alice", "quota"]  # type: ignore[attr-defined]
    row["debt"] = 70
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(SystemExit):
        app(["grant", "alice", "5", *REASON, "--id", "T-1"])
    said = capsys.readouterr()
    assert "(100 remain, 70 debt)?" in said.err
    shown = [line.split() for line in said.out.splitlines() if line.strip()]
    assert shown[1:] == [
        ["grant", "id", "T-1"],
        ["user", "id", "alice"],
        ["units", "5"],
        ["remaining", "before", "100"],
        ["debt", "70"],
        ["status", "not_granted"],
    ]
    assert not list(books.store.pages("ledger", "alice", "grant:"))


def test_the_time_to_book_begins_with_the_answer(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the operator has thought about the question."""
    now = [0.0]
    books.store.deadline = Deadline(clock=lambda: now[0], sleep=lambda _: None)
    terminal = Terminal("y\n")
    terminal.think = lambda: now.__setitem__(0, 1000.0)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(SystemExit) as ended:
        app(["grant", "bob", "5", *REASON])
    assert ended.value.code in (0, None)
    assert debits.read(books, "bob").remaining == 5


def test_the_time_to_look_begins_with_the_command(books: Books) -> None:
    """An expired hold is given back before it is asked."""
    now = [0.0]
    store: Any = books.store
    store.deadline = Deadline(clock=lambda: now[0], sleep=lambda _: None)
    now[0] = 1000
    assert _say("bob", 5, *REASON, "--dry-run")[0] == 0
