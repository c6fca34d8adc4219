"""DynamoDB cannot be reached at all: what its real client says then, and what that means."""

import itertools
import socket

import pytest
from billing.deadline import Deadline
from billing.errors import NotDoneError
from billing.storage.dynamodb import Store
from billing.storage.writes import Write

TABLES = dict.fromkeys(("payments", "quotas", "events", "ledger", "keys"), "table")
WRITE = Write("quotas", ("alice", "quota"), add={"remaining": -1})


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """At a port without a listener; a second passes with each look at the clock."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    seconds = itertools.count()
    deadline = Deadline(clock=lambda: float(next(seconds)), sleep=lambda _: None)
    return Store(TABLES, deadline, "us-east-1", host)


def test_a_plain_debit_that_was_never_sent_is_known_not_to_be_done(store: Store) -> None:
    """It is tried until the time is up, and no unit is in doubt."""
    with pytest.raises(NotDoneError):
        store.update(WRITE)


def test_a_transaction_that_was_never_sent_is_known_not_to_be_done(store: Store) -> None:
    """All of it."""
    with pytest.raises(NotDoneError):
        store.commit(WRITE)
