"""``topup grant`` as an operator types it, on books in memory."""

import copy
import json
from typing import Any

import pytest
from billing.books import Books
from billing.deadline import Deadline
from billing.errors import OutcomeUnknownError
from billing.holds import placing
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import MemoryStore
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.errors import FOUND_SOMETHING, UNREACHABLE, USAGE


class Rough(MemoryStore):
    """``loses``: the outcome of a transaction is unknown."""

    loses = False

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.loses:
            raise OutcomeUnknownError("no answer in time")
        super().commit(*writes)


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
    """Alice has bought 100 units, used 70, and the money went back: she owes 70."""
    memory._seen.clear()
    books = builders.books_on(Rough())
    monkeypatch.setattr("infra.cli.operator.find_target", lambda *_: Here(books))
    paid = builders.pending(books, "alice")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    debits.debit(Meter(books, ""), "alice", 70)
    settlement.apply(books, builders.fact(builders.refunded(paid, 999)))
    return books


def _grant(*words: object) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["grant", "--json", *map(str, words)])
    return done.exit_code, json.loads(done.stdout) if done.stdout else None


def test_units_are_given_and_the_answer_says_what_is_there_now(books: Books) -> None:
    told = {"grant_id": "T-1", "user_id": "alice", "units": 100}
    assert _grant("alice", 100, "--reason", "sorry", "--id", "T-1", "--yes") == (
        0,
        {"status": "granted", **told, "remaining": 30, "debt": 0},
    )
    code, again = _grant("alice", 100, "--reason", "sorry", "--id", "T-1", "--yes")
    assert (code, again.pop("booked_at")[:4], again) == (0, "2026", {"status": "already", **told})
    entry = books.store.get("ledger", ("alice", "grant:T-1")) or {}
    assert (entry["type"], entry["units"], entry["note"]) == ("granted", 100, "sorry")


def test_a_dry_run_says_what_would_be_and_writes_nothing(books: Books) -> None:
    before = copy.deepcopy(books.store.tables)  # type: ignore[attr-defined]
    words = ("alice", 100, "--reason", "sorry", "--id", "T-1")
    told = {"grant_id": "T-1", "user_id": "alice", "units": 100, "remaining_before": 0, "debt": 0}
    assert _grant(*words, "--dry-run") == (
        0,
        {**told, "status": "would_be_granted", "remaining": 30},
    )
    assert books.store.tables == before  # type: ignore[attr-defined]
    _grant(*words, "--yes")
    assert _grant(*words, "--dry-run")[1]["status"] == "already"


def test_each_grant_without_an_id_is_its_own(books: Books) -> None:
    """The id that it was given is in the answer, for a repeat."""
    given = [_grant("bob", 5, "--reason", "why", "--yes")[1] for _ in range(2)]
    assert given[0]["grant_id"] != given[1]["grant_id"]
    assert given[0]["grant_id"].startswith("grant_")
    assert debits.read(books, "bob").remaining == 10


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("alice", 0, "--reason", "why", "--yes"), USAGE),
        (("alice", 1, "--reason", " ", "--yes"), USAGE),
        (("", 1, "--reason", "why", "--yes"), USAGE),
        (("x" * 256, 1, "--reason", "why", "--yes"), USAGE),
        (("alice", 1, "--reason", "why"), USAGE),
        (("alice", "--reason", "why", "--yes", "--", "-1"), FOUND_SOMETHING),
    ],
)
@pytest.mark.usefixtures("books")
def test_what_cannot_be_granted_is_not(books: Books, words: tuple[object, ...], code: int) -> None:
    """Each exit code says whose turn it is; nothing is written."""
    before = copy.deepcopy(books.store.tables)  # type: ignore[attr-defined]
    assert _grant(*words)[0] == code
    assert books.store.tables == before  # type: ignore[attr-defined]


def test_a_grant_with_an_unknown_outcome_is_not_reported_as_done(books: Books) -> None:
    """It can be run again under its id."""
    books.store.loses = True  # type: ignore[attr-defined]
    done = CliRunner().invoke(
        app, ["grant", "alice", "5", "--reason", "why", "--id", "T-9", "--yes"]
    )
    assert done.exit_code == UNREACHABLE
    assert "--id T-9" in done.stderr


def test_units_of_a_hold_that_has_expired_can_be_taken_back(books: Books) -> None:
    """They are there again, before anybody has written so."""
    _grant("bob", 50, "--reason", "why", "--yes")
    placing.place(Meter(books, ""), "bob", 50, 60)
    books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    assert _grant("bob", "--reason", "too much", "--yes", "--", "-50")[1]["remaining"] == 0


@pytest.mark.parametrize(("units", "grant_id"), [(10**9, "T-1"), (-5, "T-1"), (1, "T" * 100)])
def test_the_largest_and_the_longest_that_is_allowed_is_booked(
    books: Books, units: int, grant_id: str
) -> None:
    """The bounds are the last that are taken."""
    _grant("bob", 5, "--reason", "x" * 500, "--yes")
    code, told = _grant("bob", "--reason", "why", "--id", grant_id, "--yes", "--", units)
    assert (code, told["remaining"]) == (0, 5 + units)
    assert debits.read(books, "bob").total == 5 + units


def test_a_name_of_the_greatest_length_is_a_users(books: Books) -> None:
    assert _grant("x" * 255, 5, "--reason", "why", "--yes")[0] == 0
    assert debits.read(books, "x" * 255).remaining == 5


def test_a_grant_works_however_long_the_operator_has_thought(books: Books) -> None:
    """The time for it begins with the answer, not with the question."""
    now = [0.0]
    books.store.deadline = Deadline(clock=lambda: now[0], sleep=lambda _: None)
    now[0] = 1000.0
    assert _grant("bob", 5, "--reason", "why", "--yes")[0] == 0


@pytest.mark.parametrize(
    ("units", "told"), [(5, "grant 5 units to bob"), (-5, "take 5 units from bob")]
)
@pytest.mark.usefixtures("books")
def test_the_output_says_in_words_what_was_done(units: int, told: str) -> None:
    """Giving and taking are two words."""
    _grant("bob", 5, "--reason", "why", "--yes")
    done = CliRunner().invoke(app, ["grant", "bob", "--reason", "why", "--yes", "--", str(units)])
    assert told in done.stdout
