"""When a confirmation asks Stripe, and what becomes of each answer."""

from typing import Any

import pytest
from billing.books import Books
from billing.buying import confirmation
from billing.clock import epoch
from billing.errors import BillingError
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.outcomes import StripeNotFoundError
from support import builders
from support.builders import START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


class Receipts(Stripe):
    """Stripe, with the receipts of some intents."""

    def __init__(self) -> None:
        """There is one, of the first intent."""
        super().__init__()
        self.receipts: dict[str, str | None] = {"pi_1": "https://receipt/1"}
        self.asked: list[str] = []

    def receipt_url(self, payment_intent: str) -> str | None:
        """See the gateway."""
        self.asked.append(payment_intent)
        return self.receipts[payment_intent]


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


@pytest.fixture
def stripe() -> Receipts:
    """Nothing was paid."""
    return Receipts()


@pytest.fixture
def payment(books: Books) -> Payment:
    """Recorded, with its session."""
    return pending(books, payment_id="pay_1", session_id="cs_1")


Missing = list[tuple[str, str]]


def _confirm(books: Books, stripe: Stripe, name: str = "cs_1") -> tuple[Payment, Missing]:
    """The payment, and the sessions that Stripe does not know."""
    missing: Missing = []

    def note(error: StripeNotFoundError, payment: Payment) -> None:
        missing.append((str(error), payment.payment_id))

    found = confirmation.confirm(books, stripe, "alice", name, note)  # type: ignore[arg-type]
    return found, missing


@pytest.mark.parametrize("name", ["pay_1", "cs_1"])
def test_a_paid_session_is_settled_at_once(
    books: Books, stripe: Receipts, payment: Payment, name: str
) -> None:
    """The answer is the payment as it is then; the mark says who asked."""
    stripe.sell(payment, epoch(START))
    found, missing = _confirm(books, stripe, name)
    assert (found.status, found.created_at, missing) == ("completed", payment.created_at, [])
    assert debits.read(books, "alice").remaining == 100
    assert books.store.get("events", ("pay_1", "confirm:cs_1")) is not None
    assert stripe.asked_for == ["cs_1"]


def test_a_payment_that_is_paid_is_not_asked_for(
    books: Books, stripe: Receipts, payment: Payment
) -> None:
    settlement.apply(books, fact(builders.completed(payment)))
    found, _ = _confirm(books, stripe)
    assert (found.status, stripe.asked_for) == ("completed", [])


def test_a_payment_without_a_session_yet_is_not_asked_for(books: Books, stripe: Receipts) -> None:
    """Its checkout never got an answer."""
    bare = builders.automatic(books)
    found, _ = _confirm(books, stripe, bare.payment_id)
    assert (found, stripe.asked_for) == (bare, [])


def test_an_unpaid_session_changes_nothing_that_the_buyer_sees(
    books: Books, stripe: Receipts, payment: Payment
) -> None:
    stripe.sell(payment, epoch(START), status="open", payment_status="unpaid")
    found, _ = _confirm(books, stripe)
    assert found.status == "pending"
    assert debits.read(books, "alice").remaining == 0


def test_a_session_that_stripe_does_not_know_is_reported(
    books: Books, stripe: Receipts, payment: Payment
) -> None:
    """The key is another account's; the buyer gets the payment as we know it."""
    assert _confirm(books, stripe) == (payment, [("cs_1", "pay_1")])
    quiet = confirmation.confirm(books, stripe, "alice", "cs_1")  # type: ignore[arg-type]
    assert quiet == payment


def test_another_users_payment_is_not_found(
    books: Books, stripe: Receipts, payment: Payment
) -> None:
    stripe.sell(payment, epoch(START))
    for act in (confirmation.confirm, confirmation.receipt_url):
        with pytest.raises(BillingError, match="not_found"):
            act(books, stripe, "bob", "pay_1")  # type: ignore[arg-type]
    assert stripe.asked_for == stripe.asked == []


def _receipt(books: Books, stripe: Receipts) -> str:
    return confirmation.receipt_url(books, stripe, "alice", "pay_1")  # type: ignore[arg-type]


NONE = "this payment has no receipt: nothing was paid"


def test_the_receipt_of_a_paid_payment_is_stripes(
    books: Books, stripe: Receipts, payment: Payment
) -> None:
    """https://docs.stripe.com/api/charges/object#charge_object-receipt_url."""
    settlement.apply(books, fact(builders.completed(payment)))
    assert _receipt(books, stripe) == "https://receipt/1"
    stripe.receipts["pi_1"] = None
    with pytest.raises(BillingError) as refused:
        _receipt(books, stripe)
    assert (refused.value.code, refused.value.detail) == ("not_found", NONE)
    assert stripe.asked == ["pi_1", "pi_1"]


@pytest.mark.usefixtures("payment")
def test_stripe_is_not_asked_for_a_receipt_where_nothing_was_paid(
    books: Books, stripe: Receipts
) -> None:
    with pytest.raises(BillingError) as refused:
        _receipt(books, stripe)
    assert (refused.value.code, refused.value.detail) == ("not_found", NONE)
    assert stripe.asked == []


def test_a_receipt_that_stripe_does_not_know_is_none(books: Books, payment: Payment) -> None:
    """What else goes wrong comes out."""

    class Failing(Receipts):
        fails: Exception = StripeNotFoundError("pi_1")

        def receipt_url(self, payment_intent: str) -> str | None:
            """See the gateway."""
            del payment_intent
            raise self.fails

    stripe: Any = Failing()
    key = (user_key("alice"), payment.payment_id)
    books.store.commit(Write("payments", key, set={"payment_intent": "pi_1"}))
    with pytest.raises(BillingError, match=NONE):
        _receipt(books, stripe)
    stripe.fails = KeyError("ours")
    with pytest.raises(KeyError):
        _receipt(books, stripe)
