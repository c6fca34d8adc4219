"""Defines the ledger: entries that are never changed or deleted.

The quota is the sum of a user's entries. The key of each entry names its
cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from billing.storage.dynamodb import Store
from billing.storage.writes import Write, creates

if (
    TYPE_CHECKING
):  # a function that only spends must not pay for importing payments
    from billing.payments.payment import Payment

EntryType = Literal[
    "funded",
    "clawed_back",
    "reinstated",
    "consumed",
    "adjusted",
    "granted",
    "expired",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one ledger entry. ``units`` is positive or negative.

    ``entry_id`` names why the units changed, for example a payment. So nothing
    is booked twice.
    """

    user_id: str
    entry_id: str
    type: EntryType
    units: int
    reference_type: str
    reference_id: str
    booked_at: str
    note: str = ""
    expired: int = 0
    """In a clawback: units of the purchase that had expired, and so count as
    taken back. In the return of a clawback they are negative, because they
    no longer count so.
    """
    by_key: Mapping[str, int] = field(default_factory=dict)
    """The units of a day's use, by API key id. The rest was used without an
    API key.
    """

    def write(self) -> Write:
        """Return the write that adds this entry to the ledger.

        The entry's key names its cause, for example a payment. So DynamoDB
        refuses the write if the same cause was booked before.
        """
        values: dict[str, Any] = {
            "type": self.type,
            "units": self.units,
            "reference_type": self.reference_type,
            "reference_id": self.reference_id,
            "booked_at": self.booked_at,
        }
        if self.note:
            values["note"] = self.note
        if self.expired:
            values["expired"] = self.expired
        if self.by_key:
            values["by_key"] = dict(self.by_key)
        return creates("ledger", (self.user_id, self.entry_id), values)


def funded_id(funding_id: str) -> str:
    """Return the id of the ledger entry that credits a purchase.

    ``funding_id`` is the id of the Checkout Session or payment intent that
    paid for it. As the id is always the same, the purchase is credited once.
    """
    return f"funded:{funding_id}"


def reversal_id(payment: "Payment") -> str:
    """Return the entry id for the last reversal of this payment.

    A reversal takes units back after a refund or dispute, or returns such
    units. The id ends with the reversal's number: the payment's ``movements``
    counts them.
    """
    return f"reversal:{payment.payment_id}:{payment.movements}"


def write_off_id(payment: "Payment") -> str:
    """Return the id of the ledger entry for units that the seller gives up.

    They are the units that a payment's last refund or dispute should take back
    but cannot, because they were used. If that dispute is won later, or that
    refund fails, an entry of this kind returns them. The id ends with the
    payment's ``movements``: how often refunds and disputes moved units.
    """
    return f"adjusted:{payment.payment_id}:{payment.movements}"


def expired_id(lot_id: str) -> str:
    """Return the id of the ledger entry for a lot's expired units.

    A lot is the units of one purchase or grant.
    """
    return f"expired:{lot_id}"


def expired_in_hold_id(lot_id: str, hold_key: str) -> str:
    """Return the id of the entry for units of a lot that expired in a hold.

    The hold ended after the lot had expired, so its units could not be given
    back. ``hold_key`` is the key of the hold's row.
    """
    return f"expired:{lot_id}:{hold_key}"


def with_all_booked(store: Store, payment: "Payment") -> "Payment":
    """Return the payment with all refunds and disputes that the ledger shows.

    The stored payment can miss some only after the payments' table was
    restored from a backup.
    """
    while True:
        following = replace(payment, movements=payment.movements + 1)
        entry = store.get("ledger", (payment.user_id, reversal_id(following)))
        if entry is None:
            return payment
        given_up = store.get(
            "ledger", (payment.user_id, write_off_id(following))
        ) or {"units": 0}
        payment = replace(
            following,
            units_clawed_back=payment.units_clawed_back
            - entry["units"]
            + entry.get("expired", 0),
            units_expired=payment.units_expired + entry.get("expired", 0),
            units_written_off=payment.units_written_off + given_up["units"],
        )


def as_answer(item: Mapping[str, Any], balance_after: int) -> dict[str, Any]:
    """Return a stored entry as ``GET /quota/ledger`` shows it.

    ``balance_after`` is the sum of the user's entries up to this one.
    """
    names = ("type", "units", "reference_type", "reference_id", "booked_at")
    shown = {name: item[name] for name in names}
    if "by_key" in item:
        shown["by_key"] = item["by_key"]
    return {"id": item["entry_id"], "balance_after": balance_after, **shown}
