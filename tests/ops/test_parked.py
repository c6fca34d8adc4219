from billing.clock import epoch
from billing.parked import dropping, records
from billing.settlement import settlement
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

from infra.cli.commands.parked import retried


def test_a_retry_says_whether_an_event_was_settled_or_dropped_with_its_purchase() -> None:
    """A refund of a purchase that is credited, and of one that an operator has dropped."""
    clock, stripe = Clock(), Stripe()
    books = builders.books_on(MemoryStore(), clock=clock)
    bought, odd = pending(books), pending(books)
    for payment, wrong in ((bought, {}), (odd, {"amount_subtotal": 1})):
        stripe.sell(payment, epoch(clock()), **wrong)
        settlement.apply(books, fact(builders.refunded(payment, 500)))
    settlement.apply(books, fact(builders.completed(odd, amount_subtotal=1)))
    first, second, session = sorted(
        records.all_parked(books), key=lambda record: record.kind == "mismatch"
    )
    assert retried(books, stripe, second)["status"] == "parked"  # type: ignore[arg-type]
    dropping.drop(books, session, "refunded by hand")
    left = records.find(books, second.name)
    assert left is not None
    rest = [retried(books, stripe, record) for record in (first, left)]  # type: ignore[arg-type]
    assert [answer["status"] for answer in rest] == ["settled", "dropped"]
