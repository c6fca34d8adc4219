"""An unexpected fault comes out as itself, wherever it happens.

Each act is done again and again, and each time a later call of the store fails in a way that no
repeat helps. A handler that catches too much hides it, or makes another fault of it.
"""

from collections.abc import Callable
from typing import Final

import pytest
from billing.buying import checkout, confirmation
from billing.errors import AwsRefusedError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.keys import api_keys, revocation
from billing.parked import dropping, parking, records, retries
from billing.payments.decision import Park
from billing.payments.plans import catalogue
from billing.quota.balance import read_account
from billing.reconciliation import hold_sweep
from billing.reconciliation.compare import look_again
from billing.reconciliation.comparison import Comparison
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from support import builders, laws
from support.builders import SHOP
from support.failing import Shop

CALLS_MAX: Final = 60


def _buys(shop: Shop) -> None:
    checkout.create(shop.books, shop.gateway, SHOP, "alice", catalogue()["starter"], key="k")


def _buys_again(shop: Shop) -> None:
    checkout.create(shop.books, shop.gateway, SHOP, "bob", catalogue()["starter"], key="k")


def _compares(shop: Shop) -> None:
    by = Comparison(shop.books, shop.gateway, repair=True)
    look_again(by, shop.unpaid.session_id, Report())


def _drops_with_its_purchase(shop: Shop) -> None:
    intent = builders.intent_of(shop.unpaid)
    dropping.drop_with_purchase(shop.books, shop.parked(), shop.unpaid.session_id, intent)


def _waits_for_another_reason(shop: Shop) -> None:
    parking.park(shop.books, shop.parked().fact, Park("paid_twice", "it was paid twice"))


def _in_trouble(shop: Shop) -> None:
    shop.stripe.troubles = 1


def _sweeps(shop: Shop) -> None:
    hold_expiry.give_back_expired(
        shop.books,
        "alice",
        read_account(
            shop.store,  # type: ignore[arg-type]
            "alice",
        ),
    )


def _nothing(shop: Shop) -> None:
    del shop


def _an_hour(shop: Shop) -> None:
    shop.later(hours=1)


def _a_day(shop: Shop) -> None:
    shop.forget()
    shop.later(days=1)


def _lost(shop: Shop) -> None:
    shop.lose(shop.unpaid)


def _dropped(shop: Shop) -> None:
    shop.tell(builders.completed(shop.unpaid, amount_subtotal=1))
    record = next(one for one in records.all_parked(shop.books) if one.kind == "ahead")
    intent = builders.intent_of(shop.unpaid)
    dropping.drop_with_purchase(shop.books, record, shop.unpaid.session_id, intent)


ACTS: Final[dict[str, tuple[Callable[[Shop], None], Callable[[Shop], object]]]] = {
    "a purchase for which a refund waits": (
        _nothing,
        lambda shop: shop.tell(builders.completed(shop.unpaid)),
    ),
    "a purchase whose refund was dropped": (
        _dropped,
        lambda shop: shop.tell(builders.completed(shop.unpaid)),
    ),
    "a purchase that is told again": (
        _nothing,
        lambda shop: shop.tell(builders.completed(shop.paid)),
    ),
    "a purchase of which nothing is known": (
        _lost,
        lambda shop: shop.tell(builders.completed(shop.unpaid)),
    ),
    "a refund": (_nothing, lambda shop: shop.tell(builders.refunded(shop.paid, 500))),
    "a refund that is told again": (
        _nothing,
        lambda shop: shop.tell(builders.refunded(shop.unpaid, 500)),
    ),
    "a dispute of everything": (
        _nothing,
        lambda shop: shop.tell(
            builders.dispute(shop.paid, "funds_withdrawn", "needs_response", -999)
        ),
    ),
    "a plain debit": (_nothing, lambda shop: debits.debit(shop.meter, "alice", 1)),
    "a plain debit after an expiry": (
        _an_hour,
        lambda shop: debits.debit(shop.meter, "alice", 1),
    ),
    "a plain debit on the next day": (_a_day, lambda shop: debits.debit(shop.meter, "alice", 1)),
    "a keyed debit": (
        _nothing,
        lambda shop: debits.debit_once(shop.meter, "alice", 1, "backend", "k"),
    ),
    "a keyed debit on the next day": (
        _a_day,
        lambda shop: debits.debit_once(shop.meter, "alice", 1, "backend", "k"),
    ),
    "a hold": (_nothing, lambda shop: placing.place(shop.meter, "alice", 1, 60)),
    "a hold after an expiry": (_a_day, lambda shop: placing.place(shop.meter, "alice", 1, 60)),
    "a capture": (_nothing, lambda shop: closing.capture(shop.meter, shop.hold, 4)),
    "a release": (_nothing, lambda shop: closing.release(shop.meter, shop.hold)),
    "a release of expired holds": (_an_hour, _sweeps),
    "a read after an expiry": (_an_hour, lambda shop: debits.read(shop.books, "alice")),
    "a checkout": (_nothing, _buys),
    "a checkout that is repeated": (_buys, _buys),
    "a checkout while Stripe has trouble": (_in_trouble, _buys),
    "a checkout of another user": (_nothing, _buys_again),
    "a confirmation": (
        _nothing,
        lambda shop: confirmation.confirm(
            shop.books,
            shop.gateway,
            "alice",
            shop.unpaid.payment_id,
        ),
    ),
    "a receipt": (
        _nothing,
        lambda shop: confirmation.receipt_url(
            shop.books, shop.gateway, "alice", shop.paid.payment_id
        ),
    ),
    "a comparison": (_nothing, _compares),
    "a comparison of what was lost": (_lost, _compares),
    "a new key": (_nothing, lambda shop: api_keys.create(shop.books, "alice", "test", "m")),
    "a revocation": (_nothing, lambda shop: revocation.revoke(shop.books, "alice", shop.key)),
    "a postponed event": (
        _nothing,
        lambda shop: retries.postpone(shop.books, shop.parked()),
    ),
    "an event that is dropped": (
        _nothing,
        lambda shop: dropping.drop(shop.books, shop.parked(), "why"),
    ),
    "an event that is dropped with its purchase": (_nothing, _drops_with_its_purchase),
    "an event that waits for another reason": (_nothing, _waits_for_another_reason),
    "a retry": (_an_hour, lambda shop: settlement.retry(shop.books, shop.parked())),
    "a sweep of holds": (_an_hour, lambda shop: hold_sweep.sweep_holds(shop.books)),
}


@pytest.mark.parametrize(("before", "act"), ACTS.values(), ids=ACTS)
def test_a_fault_comes_out_as_itself_at_every_call(
    before: Callable[[Shop], None], act: Callable[[Shop], object]
) -> None:
    """And leaves the account as the laws want it, so that the same act can be done again."""
    for good in range(CALLS_MAX):
        shop = Shop()
        before(shop)
        shop.store.good = good
        try:
            act(shop)
        except AwsRefusedError:
            assert shop.store.good is None
        else:
            assert shop.store.good is not None, f"the fault at call {good} was hidden"
            assert good > 0
            return
        laws.check(shop.store)
    pytest.fail("it makes calls without end")
