"""Automatic charges that a restore has lost: which are settled, and which keep a new one away."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from billing.errors import BillingError, NotDoneError
from billing.payments.payment import Payment
from billing.reconciliation.adopting import find_lost
from billing.spending import debits
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.builders import intent_of
from support.compared import World

DAYS_35: Final = 3_024_000


class Charges:
    """A customer's payment intents at Stripe, or the error that it answers with."""

    def __init__(self) -> None:
        """None."""
        self.rows: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.asked: list[tuple[str, int]] = []

    def intents_of(self, customer: str, since: int) -> Iterator[Mapping[str, Any]]:
        """See billing.stripe_api.cards.SavedCards."""
        self.asked.append((customer, since))
        if self.error:
            raise self.error
        yield from self.rows


@pytest.fixture
def world() -> World:
    """Nothing was sold."""
    return World()


@pytest.fixture
def charges() -> Charges:
    """None."""
    return Charges()


def _find(world: World, charges: Charges) -> bool:
    return find_lost(world.books, world.stripe, charges, "alice", "cus_1")  # type: ignore[arg-type]


def _units(world: World, user_id: str = "alice") -> int:
    return debits.read(world.books, user_id).remaining


def _lost(world: World, user_id: str = "alice") -> Payment:
    made = builders.automatic(world.books, user_id)
    world.forget(made)
    return made


def test_stripe_is_asked_for_as_long_as_tables_can_be_restored(
    world: World, charges: Charges
) -> None:
    """35 days: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html."""
    assert _find(world, charges) is False
    assert charges.asked == [("cus_1", int(builders.START.timestamp()) - DAYS_35)]


def test_every_lost_charge_is_credited_whatever_is_between_them(
    world: World, charges: Charges
) -> None:
    """Strangers, a checkout's own, another user's, what has failed, and what is known."""
    first, second = _lost(world), _lost(world)
    known, other = builders.automatic(world.books), _lost(world, "bob")
    world.settle(builders.intent_event(known))
    bought = builders.pending(world.books)
    world.forget(bought)
    failed = _lost(world)
    charges.rows = [
        builders.intent(first),
        builders.intent(bought, metadata={}),
        builders.intent(bought, metadata=builders.metadata(bought)),
        builders.intent(other),
        builders.intent(failed, "canceled"),
        builders.intent(failed, "requires_payment_method"),
        builders.intent(failed, "of a later version"),
        builders.intent(known),
        builders.intent(second),
    ]
    assert _find(world, charges) is True
    assert (_units(world), _units(world, "bob")) == (300, 0)
    assert _find(world, charges) is False
    assert _units(world) == 300


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_lost_charge_that_is_under_way_keeps_a_new_one_away(
    world: World, charges: Charges, place: int
) -> None:
    """It may take the money yet."""
    under_way = _lost(world)
    charges.rows = [builders.intent(_lost(world)) for _ in range(2)]
    charges.rows.insert(place, builders.intent(under_way, "processing"))
    with pytest.raises(NotDoneError, match=f"{intent_of(under_way)} is under way"):
        _find(world, charges)
    assert _units(world) == 100 * place


def test_a_charge_that_is_under_way_and_known_keeps_nothing_away(
    world: World, charges: Charges
) -> None:
    """The account's own record says so already."""
    known = builders.automatic(world.books)
    charges.rows = [builders.intent(known, "processing"), builders.intent(_lost(world))]
    assert _find(world, charges) is True
    assert _units(world) == 100


def test_what_is_under_way_and_not_this_customers_lost_charge_keeps_nothing_away(
    world: World, charges: Charges
) -> None:
    """A stranger's, a checkout's own, and another user's."""
    bought, other = builders.pending(world.books), _lost(world, "bob")
    world.forget(bought)
    charges.rows = [
        builders.intent(bought, "processing", metadata={}),
        builders.intent(bought, "processing", metadata=builders.metadata(bought)),
        builders.intent(other, "processing"),
        builders.intent(_lost(world)),
    ]
    assert _find(world, charges) is True
    assert _units(world) == 100


def test_a_lost_charge_that_cannot_be_credited_keeps_a_new_one_away(
    world: World, charges: Charges
) -> None:
    """Its price is no plan's any more, so an operator must look, as reconciliation reports.

    Until then the card, which was charged, is not charged again.
    """
    charges.rows = [builders.intent(_lost(world), amount=998)]
    with pytest.raises(NotDoneError, match="was charged, and cannot be settled"):
        _find(world, charges)
    assert _units(world) == 0


def test_a_customer_that_was_deleted_has_no_charges(world: World, charges: Charges) -> None:
    charges.error = StripeNotFoundError("No such customer: 'cus_1'")
    assert _find(world, charges) is False


@pytest.mark.parametrize(
    "error", [StripeServerError("500"), BillingError("stripe_unavailable", "no answer")], ids=repr
)
def test_while_stripe_does_not_answer_no_new_charge_is_made(
    world: World, charges: Charges, error: Exception
) -> None:
    """Nothing was done, and the next run asks again."""
    charges.error = error
    with pytest.raises(NotDoneError, match="Stripe was not asked for lost charges") as kept:
        _find(world, charges)
    assert kept.value.__cause__ is error


def test_a_fault_of_ours_comes_out_as_itself(world: World, charges: Charges) -> None:
    charges.error = KeyError("an internal error")
    with pytest.raises(KeyError):
        _find(world, charges)
