"""Fixtures that most unit tests share."""

import pytest
from billing.books import Books
from billing.settlement import settlement
from billing.spending import memory
from billing.spending.meter import Meter
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import Meddled


@pytest.fixture(autouse=True)
def _new_container() -> None:
    """No test finds balances that another one saw."""
    memory._seen.clear()


@pytest.fixture
def clock() -> Clock:
    """Advanced by the tests."""
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    """Alice has bought 100 units."""
    books = builders.books_on(Meddled(), clock=clock)
    settlement.apply(books, fact(builders.completed(pending(books))))
    return books


@pytest.fixture
def meter(books: Books) -> Meter:
    """To spend from."""
    return Meter(books, "https://shop.example.com")
