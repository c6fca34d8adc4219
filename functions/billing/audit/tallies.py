"""Sums up the rows of accounts, to check that they agree.

The sums of one account are its tally.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.audit.tally import Tally
from billing.lots.lot import PREFIX
from billing.payments.payment import Phase
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import USES, Uses, uses_from
from billing.quota.key_totals import NAMES, user_of
from billing.quota.key_use import name_of, weight
from billing.storage.keys import reference_key
from billing.storage.writes import Table

COPIED: Final = (
    "total",
    "used",
    "held",
    "remaining",
    "debt",
    "itemised",
    "lots_left",
    "lots_held",
    "lots_used",
    "lots_exact",
)


class Tallies(dict[str, Tally]):
    """Maps user ids to tallies: the sums of an account's rows.

    ``add`` counts one more row.
    """

    def add(self, table: Table, item: Mapping[str, Any]) -> None:
        """Add one row of a table to the tally of its account.

        A tally is the sums of the rows. Rows that move no units are ignored.
        """
        if table == "ledger":
            _add_entry(self._of(item["user_id"]), item)
        elif table == "payments" and item.get("phase") == int(Phase.PAID):
            _add_payment(self._of(item["user_id"]), item)
        elif (
            table == "payments"
            and item["owner"].startswith(reference_key("pi_"))
            and "payment_id" in item
        ):
            self._of(item["user_id"]).referred_count += 1
        elif table == "quotas" and item["item"] == "quota":
            _add_balance(self._of(item["user_id"]), Balance.from_item(item))
        elif table == "quotas" and item["item"].startswith("hold#"):
            self._of(item["user_id"]).in_holds += item["units"]
        elif table == "quotas" and item["item"].startswith(PREFIX):
            self._of(item["user_id"]).in_lots += item["free"] + item["held"]
            self._of(item["user_id"]).held_of_lots += item["held"]
        elif table == "quotas" and item["item"] == USES:
            _add_uses(self._of(item["user_id"]), uses_from(dict(item)))
        elif (
            table == "keys"
            and item.get("used")
            and str(item["id"]).startswith(NAMES)
        ):
            _add_revoked(self._of(user_of(item["owner"])), item)

    def _of(self, user_id: str) -> Tally:
        return self.setdefault(user_id, Tally())


def _add_entry(tally: Tally, item: Mapping[str, Any]) -> None:
    tally.booked += item["units"]
    for key_id, units in item.get("by_key", {}).items():
        tally.keys_booked_weighed += units * weight(name_of(key_id))
    if item["type"] == "funded":
        tally.funded += item["units"]
        tally.funded_count += 1
    elif item["type"] in ("clawed_back", "reinstated"):
        tally.taken_back -= item["units"]
    elif item["type"] == "adjusted" and item["reference_type"] == "payment":
        tally.adjusted_for_payments += item["units"]


def _add_payment(tally: Tally, item: Mapping[str, Any]) -> None:
    tally.paid += item["quota"]
    tally.paid_count += 1
    tally.intents_count += bool(item.get("payment_intent"))
    tally.clawed_back += taken_back(item)
    tally.written_off += item.get("units_written_off", 0)


def taken_back(payment: Mapping[str, Any]) -> int:
    """Return the units of a payment that refunds and disputes took back.

    Units that had expired before are not included, because there was nothing
    to take.
    """
    taken: int = payment["units_clawed_back"]
    expired: int = payment.get("units_expired", 0)
    return taken - expired


def _add_balance(tally: Tally, balance: Balance) -> None:
    tally.balance_count += 1
    tally.placed_count += balance.holds_placed
    for name in COPIED:
        setattr(tally, name, getattr(tally, name) + getattr(balance, name))
    tally.keys_used += sum(
        units for name, units in balance.keys.items() if name[0] in "ux"
    )


def _add_uses(tally: Tally, uses: Uses) -> None:
    """Add one user's row ``uses`` to the tally (the sums of the account).

    The row has, for each API key, two figures: what the key had ever used when
    the day began, and its use besides that is not in the ledger yet. Together
    with the keys' counters, which ``_add_balance`` adds, they show how many
    units the ledger does not have yet.
    """
    for marks in (uses.live, uses.revoked):
        for name, mark in marks.items():
            units = mark.more - mark.day
            tally.keys_not_booked += units
            tally.keys_booked_weighed += units * weight(name)


def _add_revoked(tally: Tally, item: Mapping[str, Any]) -> None:
    units, name = item["used"], item["id"].removeprefix(NAMES)
    tally.keys_revoked += units
    tally.keys_revoked_weighed += units * weight(name)
