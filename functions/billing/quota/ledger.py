"""The ledger: immutable lines, each keyed by what caused it.

The quota is their cache; nothing here is ever changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from billing.storage.dynamodb import Store
from billing.storage.writes import Write, creates

if TYPE_CHECKING:  # whose ledger entry is a day's use has no use for payments
    from billing.payments.payment import Payment

EntryType = Literal["funded", "clawed_back", "reinstated", "consumed", "adjusted"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    ``units`` is signed. ``entry_id`` names the cause, so that one cause can be booked once only,
    for ever.
    """

    user_id: str
    entry_id: str
    type: EntryType
    units: int
    reference_type: str
    reference_id: str
    booked_at: str
    note: str = ""

    def write(self) -> Write:
        """The write that books it; refused when this cause was booked before."""
        values = {
            "type": self.type,
            "units": self.units,
            "reference_type": self.reference_type,
            "reference_id": self.reference_id,
            "booked_at": self.booked_at,
        }
        return creates(
            "ledger",
            (self.user_id, self.entry_id),
            {**values, **({"note": self.note} if self.note else {})},
        )


def funded_id(session_id: str) -> str:
    """A session is credited once."""
    return f"funded:{session_id}"


def reversal_id(payment: "Payment") -> str:
    """A payment's n-th movement is booked once, whether it takes or gives back."""
    return f"reversal:{payment.payment_id}:{payment.movements}"


def write_off_id(payment: "Payment") -> str:
    """What was given up, or taken back of it, with that movement."""
    return f"adjusted:{payment.payment_id}:{payment.movements}"


def with_all_booked(store: Store, payment: "Payment") -> "Payment":
    """The payment with those reversals that the ledger has and the payment does not show.

    None, unless a restore put it back.
    """
    while True:
        following = replace(payment, movements=payment.movements + 1)
        entry = store.get("ledger", (payment.user_id, reversal_id(following)))
        if entry is None:
            return payment
        given_up = store.get("ledger", (payment.user_id, write_off_id(following))) or {"units": 0}
        payment = replace(
            following,
            units_clawed_back=payment.units_clawed_back - entry["units"],
            units_written_off=payment.units_written_off + given_up["units"],
        )


def as_answer(item: Mapping[str, Any], balance_after: int) -> dict[str, Any]:
    """A stored entry as ``GET /quota/ledger`` shows it."""
    shown = {
        name: item[name]
        for name in ("type", "units", "reference_type", "reference_id", "booked_at")
    }
    return {"id": item["entry_id"], "balance_after": balance_after, **shown}
