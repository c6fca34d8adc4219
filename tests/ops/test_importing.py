"""``topup import`` as an operator types it, on books in memory."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from billing.books import Books
from billing.spending import debits, memory
from support import builders
from support.fakes.memory_store import MemoryStore
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.errors import USAGE

HEAD = "user,units,expires_at,id\n"
LINES = """{"user":"alice","units":5,"id":"a"}

{"user":"bob","units":7,"id":"b","expires_at":"2026-06-01T00:00:00Z"}
{"user":"bob","units":1,"expires_at":null,"id":"c"}
"""


class Here:
    """A stack whose tables are in memory."""

    def __init__(self, books: Books) -> None:
        """Of these books."""
        self._books = books

    def books(self) -> Books:
        """Them."""
        return self._books


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    """Empty."""
    memory._seen.clear()
    books = builders.books_on(MemoryStore())
    monkeypatch.setattr("infra.cli.operator.find_target", lambda *_: Here(books))
    return books


def _import(file: Path, *words: str) -> tuple[int, Any, str]:
    line = ["import", "--json", str(file), "--reason", "moved", *words]
    done = CliRunner().invoke(app, line)
    return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.output


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("u.csv", HEAD + "alice,5,,a\nbob,7,2026-06-01T00:00:00Z,b\nbob,1,,c\n"),
        (
            "u.jsonl",
            LINES,
        ),
    ],
)
def test_a_file_is_imported_once_per_id(books: Books, tmp_path: Path, name: str, text: str) -> None:
    """A dry run says the sums and books nothing; a second import books nothing again."""
    file = tmp_path / name
    file.write_text(text)
    sums = {"lines": 3, "customers": 2, "units": 13, "units_that_expire": 7, "bad_lines": []}
    dry = _import(file, "--dry-run")
    assert dry[:2] == (0, {"status": "would_be_granted", **sums})
    assert not books.store.tables["ledger"]  # type: ignore[attr-defined]
    assert _import(file, "--yes")[1]["booked_now"] == 3
    again = _import(file, "--yes")[1]
    assert (again["booked_now"], again["booked_before"]) == (0, 3)
    assert [debits.read(books, user).remaining for user in ("alice", "bob")] == [5, 8]


@pytest.mark.parametrize(
    "bad",
    [
        "bob,0,,b",
        "bob,-1,,b",
        "bob,1e3,,b",
        "bob,99999999999,,b",
        "bob,,,b",
        ",1,,b",
        "bob,1,2020-01-01T00:00:00Z,b",
        "bob,1,tomorrow,b",
        "bob,1,,",
        "bob,1,,a",
        "bob,1,,b,more",
    ],
)
def test_a_bad_line_is_named_and_nothing_is_booked(books: Books, tmp_path: Path, bad: str) -> None:
    """Unless it is to be skipped."""
    file = tmp_path / "u.csv"
    file.write_text(f"{HEAD}alice,5,,a\n{bad}\n")
    before = copy.deepcopy(books.store.tables)  # type: ignore[attr-defined]
    code, _, told = _import(file, "--yes")
    assert (code, books.store.tables) == (USAGE, before)  # type: ignore[attr-defined]
    assert "line 3" in told
    code, answer, _ = _import(file, "--yes", "--skip-bad")
    assert (code, answer["booked_now"], answer["bad_lines"]) == (0, 1, [3])


@pytest.mark.parametrize("text", ["", "user;units\n", "user,units,id\nalice,1,a\n"])
def test_a_file_with_other_columns_is_refused(books: Books, tmp_path: Path, text: str) -> None:
    file = tmp_path / "u.csv"
    file.write_text(text)
    assert _import(file, "--yes")[0] == USAGE
    assert not books.store.tables["ledger"]  # type: ignore[attr-defined]


def test_a_line_that_is_no_json_is_a_bad_line(books: Books, tmp_path: Path) -> None:
    file = tmp_path / "u.jsonl"
    file.write_text('{"user":"alice","units":5,"id":"a"}\n[]\n{"user":\n')
    code, _, told = _import(file, "--yes")
    assert code == USAGE
    assert "line 2" in told
    assert "line 3" in told
    assert not books.store.tables["ledger"]  # type: ignore[attr-defined]


def test_an_id_that_another_grant_has_is_a_bad_line(books: Books, tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text(f"{HEAD}alice,5,,a\n")
    _import(file, "--yes")
    file.write_text(f"{HEAD}alice,5,,z\nalice,6,,a\n")
    code, _, told = _import(file, "--yes")
    assert (code, "line 3" in told) == (USAGE, True)
    assert debits.read(books, "alice").remaining == 5
