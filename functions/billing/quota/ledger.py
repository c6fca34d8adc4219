"""Defines the ledger: immutable entries. Each entry's key names its cause.

The quota is the sum of a user's entries. An entry is never changed or deleted.
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
    """One ledger entry. ``units`` is signed.

    ``entry_id`` names the cause, so one cause is booked once, for ever.
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
    """Of a clawback: units that count as taken back because they had expired. Of a reinstatement,
    negative: they count no longer."""
    by_key: Mapping[str, int] = field(default_factory=dict)
    """Units of a day's use by API key. The rest was used without a key."""

    def write(self) -> Write:
        """Return the write that books it. It is refused when this cause was booked before."""
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
    """Return the id of the entry that credits a purchase.

    ``funding_id``: the session or payment intent that paid it. It is credited once.
    """
    return f"funded:{funding_id}"


def reversal_id(payment: "Payment") -> str:
    """Return the id of the entry for a payment's n-th reversal, a clawback or its return."""
    return f"reversal:{payment.payment_id}:{payment.movements}"


def write_off_id(payment: "Payment") -> str:
    """Return the id of the entry for the units that the n-th reversal wrote off or restored."""
    return f"adjusted:{payment.payment_id}:{payment.movements}"


def expired_id(lot_id: str) -> str:
    """Return the id of the entry for what expired of a lot."""
    return f"expired:{lot_id}"


def expired_in_hold_id(lot_id: str, hold_key: str) -> str:
    """Return the id of the entry for what expired when a hold gave it back to its lot."""
    return f"expired:{lot_id}:{hold_key}"


def with_all_booked(store: Store, payment: "Payment") -> "Payment":
    """Return the payment with the reversals that its ledger has and it lacks.

    A payment lacks reversals only after a restore of the payments' table.
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
    """Return a stored entry as ``GET /quota/ledger`` shows it."""
    names = ("type", "units", "reference_type", "reference_id", "booked_at")
    shown = {name: item[name] for name in names}
    if "by_key" in item:
        shown["by_key"] = item["by_key"]
    return {"id": item["entry_id"], "balance_after": balance_after, **shown}
