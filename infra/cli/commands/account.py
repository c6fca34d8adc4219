"""``topup account``: shows one customer's quota, keys, holds, payments and ledger."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final

import typer
from billing.account import history
from billing.agreements import rows
from billing.agreements.months import month_of
from billing.answers import members
from billing.books import Books
from billing.buying import queries
from billing.clock import epoch, from_epoch
from billing.keys import api_keys
from billing.keys.figures import Key
from billing.spending import debits
from rich.console import RenderableType

from infra.cli.command import command
from infra.cli.errors import check_user
from infra.cli.operator import Operator
from infra.cli.output import facts, table

LINES_SHOWN: Final = 10
HOLDS_SHOWN_MAX: Final = 50
KEY_COLUMNS: Final = (
    "key_id",
    "name",
    "limit",
    "limit_remaining",
    "used_today",
    "used_this_month",
    "used_total",
)
HOLD_COLUMNS: Final = ("item", "units", "expires_at")
PAYMENT_COLUMNS: Final = ("payment_id", "plan", "amount", "status", "created_at")
ENTRY_COLUMNS: Final = ("booked_at", "type", "units", "balance_after", "reference_id")


def register(app: typer.Typer) -> None:
    """Add the command ``account`` to the application."""

    @command(app, "account")
    def account(
        operator: Operator,
        user: Annotated[str, typer.Argument(help="The user id: the token's sub.")],
    ) -> None:
        """Show a customer's quota, debt, keys, open holds, last payments and last ledger entries.

        Example: topup account 8f14e45f-ceea-467f-a8d4-0e9f5e9e9d35
        """
        check_user(user)
        found = read(operator.books, user)
        operator.output.show(found, *_shown(user, found))


def _shown(user: str, found: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the tables that a terminal shows for an account."""
    yield facts(f"Account {user}", found["quota"])
    if found["auto_top_up"]["agreed_at"]:
        yield facts("Automatic top-ups", _flat_agreement(found["auto_top_up"]))
    if found["keys"]:
        yield table("API keys", KEY_COLUMNS, _cells(map(_flat, found["keys"]), KEY_COLUMNS))
    if found["holds"]:
        yield table("Open holds", HOLD_COLUMNS, _cells(found["holds"], HOLD_COLUMNS))
    payments = _cells(found["payments"], PAYMENT_COLUMNS)
    yield table("Payments, newest first", PAYMENT_COLUMNS, payments)
    entries = _cells(found["ledger"], ENTRY_COLUMNS)
    yield table("Ledger, newest first", ENTRY_COLUMNS, entries)


def _cells(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> list[list[object]]:
    """Return the values of these columns, as one list for each row."""
    return [[row[name] for name in columns] for row in rows]


def _flat_agreement(agreement: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the agreement to automatic top-ups for display.

    In the copy the card and the open charge are one line of text each.
    """
    card, charge = agreement["card"], agreement["open_charge"]
    shown_card = f"{card['brand']} {card['last4']}" if card else "none"
    shown_charge = f"{charge['payment_id']}, {charge['state']}" if charge else "none"
    return {**agreement, "card": shown_card, "open_charge": shown_charge}


def _auto_top_up(books: Books, user_id: str) -> dict[str, Any]:
    """Return the customer's agreement to automatic top-ups, as plain data.

    ``open_charge`` is the charge that is under way, or None.
    """
    agreement = rows.read(books, user_id)
    charge = agreement.charge
    open_charge = None
    if charge:
        open_charge = {
            "payment_id": charge.payment_id,
            "state": charge.state,
            "attempt": charge.attempt + 1,
            "due": from_epoch(charge.due),
            "payment_intent_id": charge.intent or None,
        }
    return {**agreement.as_answer(month_of(books.clock())), "open_charge": open_charge}


def _key(key: Key) -> dict[str, Any]:
    """Return an API key as plain data."""
    return {**members(key), "limit": members(key.limit) if key.limit else None}


def _flat(key: dict[str, Any]) -> dict[str, Any]:
    """Return an API key's data with its limit as text: ``100 per day``, or ``none``."""
    limit = key["limit"]
    return {**key, "limit": f"{limit['units']} per {limit['per']}" if limit else "none"}


def read(books: Books, user_id: str) -> dict[str, Any]:
    """Return what ``topup account`` shows of a customer.

    It is the quota, open holds, automatic top-ups, API keys, and the last payments and ledger
    entries. A customer who never bought has zeros.
    """
    balance = debits.read(books, user_id)
    now = epoch(books.clock())
    holds = books.store.query("quotas", user_id, prefix="hold#", limit=HOLDS_SHOWN_MAX).items
    return {
        "quota": {
            **members(balance.as_answer(user_id)),
            "used_not_itemised": balance.used - balance.itemised,
        },
        "holds": [
            {
                "item": row["item"],
                "units": row["units"],
                "expires_at": from_epoch(row["expires_at"]),
            }
            for row in holds
            if row["expires_at"] > now
        ],
        "auto_top_up": _auto_top_up(books, user_id),
        "keys": [_key(key) for key in api_keys.list_all(books, user_id)],
        "payments": queries.payments(books, user_id, LINES_SHOWN, "")["payments"],
        "ledger": history.entries(books, user_id, LINES_SHOWN, "")["entries"],
    }
