from collections.abc import Callable

import pytest
from billing.holds import closing, placing
from billing.holds.hold import Hold
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.debits import Debit
from billing.spending.meter import Meter
from properties.crowd import check_laws
from support import builders
from support.builders import Clock, fact, pending
from support.dynamo import Dynamo

HELD = 120
"""More than one transaction gives back, and more than one page shows."""


class Shop:
    """Alice has bought 1 000 units, and 120 holds of one unit each expire in a minute; one of 100
    lasts longer.
    """

    def __init__(self, database: Dynamo) -> None:
        """On fresh tables."""
        memory._seen.clear()
        self.clock, self.store = Clock(), database.store()
        self.books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "")
        settlement.apply(self.books, fact(builders.completed(pending(self.books, plan="pro"))))
        for _ in range(HELD):
            placing.place(self.meter, "alice", 1, 60)
        self.long = placing.place(self.meter, "alice", 100, 600).hold_id
        self.clock.advance(seconds=61)
        self.store.deadline.begin()


@pytest.mark.parametrize(
    ("database", "is_cold"), [("ministack", True), ("dynoxide", False)], indirect=["database"]
)
@pytest.mark.parametrize("way", ["plain debit", "keyed debit", "hold"])
def test_expired_holds_are_released_and_spent_in_one_request(
    database: Dynamo, way: str, *, is_cold: bool
) -> None:
    """Each way on both databases, as in memory: the writes are DynamoDB's to judge."""
    shop = Shop(database)
    ways: dict[str, Callable[[], Debit | Hold]] = {
        "plain debit": lambda: debits.debit(shop.meter, "alice", 890),
        "keyed debit": lambda: debits.debit_once(shop.meter, "alice", 890, "backend", "k"),
        "hold": lambda: placing.place(shop.meter, "alice", 890, 30),
    }
    if is_cold:
        memory._seen.clear()
    assert ways[way]().remaining == 10
    check_laws(shop.store)
    shop.clock.advance(seconds=600)
    balance = debits.read(shop.books, "alice")
    assert (balance.held, balance.remaining) == (0, 1000 - balance.used)
    assert debits.debit(shop.meter, "alice", balance.remaining).remaining == 0
    check_laws(shop.store)


def test_a_read_counts_what_has_expired_over_several_pages(database: Dynamo) -> None:
    """Rows, then other rows, then the balance behind them; nothing is written."""
    shop = Shop(database)
    balance = debits.read(shop.books, "alice")
    assert (balance.held, balance.remaining) == (100, 900)
    assert closing.capture(shop.meter, shop.long, 40).released == 60
    balance = debits.read(shop.books, "alice")
    assert (balance.held, balance.used, balance.remaining) == (0, 40, 960)
    check_laws(shop.store)
