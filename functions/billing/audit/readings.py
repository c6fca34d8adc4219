"""Reads all rows of an account, to check the account against them.

A scan reads a table during concurrent writes, so its figures of one account
may be inconsistent, and a difference that it finds is only a suspicion.
``settled_tally`` then reads the account until two readings agree. Nothing is
repaired here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from billing.audit.tallies import Tallies, taken_back
from billing.audit.tally import Tally
from billing.errors import Item
from billing.lots.lot import LAST
from billing.payments.payment import Payment, Phase
from billing.quota.key_bookmarks import USES
from billing.quota.key_totals import NAMES
from billing.storage.dynamodb import Store
from billing.storage.keys import REFERENCE, reference_key, user_key
from billing.storage.writes import Table

TABLES: Final[tuple[Table, ...]] = ("ledger", "payments", "quotas", "keys")
"""The tables in which an account has rows."""
READINGS_MAX: Final = 20
"""How often an account is read at most. The first two readings agree, unless
the account buys or places holds at that time.
"""


def settled_tally(store: Store, user_id: str) -> Tally | None:
    """Return the account's tally (its sums) once two readings agree.

    Debits may happen in between. Returns None if the account kept changing.
    The caller can try again later.
    """
    before: Tally | None = None
    for _ in range(READINGS_MAX):
        tally = _reading(store, user_id)
        if before is not None and before.steady() == tally.steady():
            return tally
        before = tally
    return None


def disagreeing_payments(store: Store, user_id: str) -> Iterator[str]:
    """Yield the id of each payment whose units in the ledger are wrong.

    The right number is the units bought, less those that a refund or dispute
    took back, as the payment's row says. If the ledger has units for a
    Checkout Session or payment intent of which no payment is stored, the id of
    that Stripe object is yielded.
    """
    funded: dict[str, int] = {}
    for item in store.pages("ledger", user_id):
        if item["type"] in ("funded", "clawed_back", "reinstated"):
            funded[item["reference_id"]] = (
                funded.get(item["reference_id"], 0) + item["units"]
            )
    for item in store.pages("payments", user_key(user_id), "pay_"):
        is_paid = item.get("phase") == int(Phase.PAID)
        kept = item["quota"] - taken_back(item) if is_paid else 0
        if funded.pop(Payment.from_item(item).funding_id, 0) != kept:
            yield item["payment_id"]
    yield from (funding_id for funding_id, units in funded.items() if units)


def _reading(store: Store, user_id: str) -> Tally:
    """Read all rows of an account once, and return its tally.

    A tally is the sums of the rows. Large accounts take long, so the rows of
    payments, holds, lots and the ledger have one deadline, and the rest
    another.
    """
    tallies = Tallies()
    store.deadline.begin()
    for item in store.pages("payments", user_key(user_id), "pay_"):
        tallies.add("payments", item)
        if referred := reference(store, item):
            tallies.add("payments", referred)
    for item in _holds_and_lots(store, user_id):
        tallies.add("quotas", item)
    for item in store.pages("ledger", user_id):
        tallies.add("ledger", item)
    store.deadline.begin()
    for item in store.pages("keys", user_key(user_id), NAMES):
        tallies.add("keys", item)
    if uses := store.get("quotas", (user_id, USES)):
        tallies.add("quotas", uses)
    if balance := store.get("quotas", (user_id, "quota")):
        tallies.add("quotas", balance)
    return tallies.get(user_id, Tally(balance_count=1))


def _holds_and_lots(store: Store, user_id: str) -> Iterator[Item]:
    """Yield an account's open holds and its lots.

    One query reads both, as their keys are neighbours. A lot is the units
    of one purchase or grant.
    """
    after: Item | None = None
    while True:
        page = store.query(
            "quotas", user_id, prefix="hold#", up_to=LAST, after=after
        )
        yield from page.items
        after = page.after
        if after is None:
            return


def reference(
    store: Store, payment: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the row by which a payment is found from its payment intent.

    Returns None if the payment is not paid, has no intent because nothing was
    to pay, or if the row was lost in a restore.
    """
    intent = (
        payment.get("payment_intent")
        if payment.get("phase") == int(Phase.PAID)
        else None
    )
    row = (
        store.get("payments", (reference_key(intent), REFERENCE))
        if intent
        else None
    )
    return (
        row if row and row.get("payment_id") == payment["payment_id"] else None
    )
