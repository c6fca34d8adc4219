"""Every kind of difference that a comparison reports, to the last member."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pytest
from billing.books import Books
from billing.clock import epoch
from billing.payments.payment import Payment
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from support import builders
from support.builders import START, Clock, fact, intent_of, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

UNREADABLE: Final = "cannot be read: a member is missing or of another type than documented"
LONG_AGO: Final = epoch(START) - 90 * 24 * 3600


@dataclass
class World:
    """One purchase of 100 units for 9.99, not paid yet; Stripe knows nothing of it."""

    stripe: Stripe = field(default_factory=Stripe)

    def __post_init__(self) -> None:
        """Begin."""
        self.store = MemoryStore()
        self.books: Books = builders.books_on(self.store, clock=Clock())
        self.payment: Payment = pending(self.books)
        self.stripe.rows_a_page = 100

    def settle(self) -> None:
        """Credit it."""
        settlement.apply(self.books, fact(builders.completed(self.payment)))

    def sell(self, at: int = epoch(START), **members: Any) -> None:
        """Stripe has a session of it."""
        self.stripe.sell(self.payment, at, **members)

    def lose(self) -> None:
        """Its record is gone."""
        self.store.tables["payments"].clear()

    def lose_reference(self) -> None:
        """What led to it from its payment intent is gone."""
        del self.store.tables["payments"][f"ref#{intent_of(self.payment)}", "reference"]

    def dispute(self, **members: Any) -> None:
        """All of it."""
        event = builders.dispute(self.payment, "funds_withdrawn", "needs_response", -999)
        event["data"]["object"].update(members)
        self.stripe.dispute(event)

    def found(self, *, repair: bool = True) -> list[dict[str, Any]]:
        """What a run reports, in the order of the report."""
        job = Run(self.books, self.stripe, repair)  # type: ignore[arg-type]
        report = run.run(job, epoch(START) - 30 * 24 * 3600)
        return [asdict(row) for row in report.differences]


def _rebuilt(world: World) -> None:
    world.sell()
    world.lose()


def _unreadable(world: World) -> None:
    world.sell(amount_total=None)


def _old_and_unreadable(world: World) -> None:
    world.settle()
    world.sell(LONG_AGO, amount_total=None)


def _unknown(world: World) -> None:
    world.settle()


def _unpaid(world: World) -> None:
    world.settle()
    world.sell(LONG_AGO, status="expired", payment_status="unpaid")


def _expired(world: World) -> None:
    world.sell(status="expired", payment_status="unpaid", payment_intent=None)


def _refunded(world: World) -> None:
    world.settle()
    world.sell()
    world.stripe.refund(world.payment, "re_1", 500)


def _disputed(world: World) -> None:
    world.settle()
    world.sell()
    world.dispute()


def _disputed_oddly(world: World) -> None:
    world.settle()
    world.sell()
    world.dispute(amount="999")


def _without_reference(world: World) -> None:
    _refunded(world)
    world.lose_reference()


PAID: Final = ("missing_here", "cs", "paid at Stripe, pending here: 100 units are owed", True)
CASES: Final[list[tuple[Callable[[World], None], list[tuple[str, str, str, bool]]]]] = [
    (World.sell, [PAID]),
    (
        _rebuilt,
        [("missing_here", "cs", "the payment's record was lost, and rebuilt", True), PAID],
    ),
    (_unreadable, [("failed", "cs", f"this session {UNREADABLE}", False)]),
    (_old_and_unreadable, [("failed", "cs", f"this session {UNREADABLE}", False)]),
    (_unknown, [("missing_there", "cs", "credited here, unknown at Stripe", False)]),
    (_unpaid, [("missing_there", "cs", "credited here, unpaid at Stripe", False)]),
    (_expired, [("status", "cs", "pending here, expired at Stripe; +0 units", True)]),
    (
        _refunded,
        [("status", "re_1", "completed here, partially_refunded at Stripe; -50 units", True)],
    ),
    (_disputed, [("status", "du_1", "completed here, disputed at Stripe; -100 units", True)]),
    (_disputed_oddly, [("failed", "du_1", f"this dispute {UNREADABLE}", False)]),
    (
        _without_reference,
        [
            ("missing_here", "pi", "nothing led from this payment intent", True),
            ("status", "re_1", "completed here, partially_refunded at Stripe; -50 units", True),
        ],
    ),
]


@pytest.mark.parametrize("repair", [True, False], ids=["repaired", "dry"])
@pytest.mark.parametrize(("happens", "rows"), CASES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_difference_names_both_sides_what_it_is_and_whether_it_was_repaired(
    happens: Callable[[World], None], rows: list[tuple[str, str, str, bool]], *, repair: bool
) -> None:
    """What it is about at Stripe, and whose it is here: an operator has nothing else."""
    world = World()
    happens(world)
    names = {"cs": world.payment.session_id, "pi": intent_of(world.payment)}
    wanted = [
        {
            "kind": kind,
            "stripe_id": names.get(name, name),
            "payment_id": world.payment.payment_id,
            "detail": detail,
            "repaired": is_repaired and repair,
        }
        for kind, name, detail, is_repaired in rows
    ]
    if happens is _rebuilt and not repair:
        sold = world.payment
        unknown = f"payment {sold.payment_id} of {sold.session_id} is not in our records"
        wanted = [{**wanted[1], "detail": unknown}]
    assert world.found(repair=repair) == wanted


def test_what_was_repaired_is_no_difference_any_more() -> None:
    """The next run finds all as it should be."""
    for happens, rows in CASES:
        world = World()
        happens(world)
        world.found()
        left = [row["kind"] for row in world.found()]
        assert left == [kind for kind, _, _, is_repaired in rows if not is_repaired]
