"""``topup payments`` and ``topup payment``: lists payments, and shows one with its history."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, get_args

import typer
from billing.errors import BillingError, Item
from billing.money import decimal_string
from billing.payments.payment import Payment, PaymentStatus
from billing.stripe_api.outcomes import StripeServerError
from rich.console import RenderableType

from infra.cli.books.find_payment import find, newest
from infra.cli.books.payment_history import DROPPED, LEDGER, SETTLED, at_stripe, history
from infra.cli.command import command
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, usage
from infra.cli.operator import Operator
from infra.cli.output import facts, table

LIMIT_MAX: Final = 10_000
STATUSES: Final[tuple[str, ...]] = get_args(PaymentStatus)
COLUMNS: Final = ("payment_id", "user_id", "plan", "amount", "paid", "status", "created_at")
PARKED: Final = ("fact_id", "why")
REPAIR: Final = (
    "`topup reconcile --repair` settles what is missing,"
    " `topup parked` shows what needs an operator"
)
User = Annotated[
    str,
    typer.Option(
        "--user",
        help="The user id. Without it the whole table is searched, which takes a while.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands ``payments`` and ``payment`` to the application."""
    command(app, "payments")(list_payments)
    command(app, "payment")(show_payment)


def list_payments(
    operator: Operator,
    user: Annotated[str, typer.Option("--user", help="Only this customer's.")] = "",
    status: Annotated[
        str, typer.Option("--status", help=f"Only one of: {', '.join(STATUSES)}.")
    ] = "",
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=LIMIT_MAX, help="How many of the newest to show."),
    ] = 50,
) -> None:
    """List payments, newest first. Without --user the whole table is read, a page at a time.

    Example: topup payments --status disputed
    """
    if status and status not in STATUSES:
        raise usage(f"{status!r} is not a status", f"one of: {', '.join(STATUSES)}")
    with operator.output.progress("reading payments") as bar:
        found = [
            row.as_answer() | {"user_id": row.user_id}
            for row in newest(operator.books, user, status, limit, bar)
        ]
    rows = [_row(row) for row in found]
    title = f"{len(found)} payments, newest first"
    operator.output.show({"payments": found}, table(title, COLUMNS, rows))


def show_payment(
    operator: Operator,
    name: Annotated[str, typer.Argument(metavar="ID", help="pay_..., cs_..., pi_... or ch_...")],
    user: User = "",
) -> int:
    """Show one purchase: our record, settled events, ledger entries and Stripe's state.

    Exit 1 if the books differ from Stripe.

    Example: topup payment cs_live_a1PqX...
    """
    with operator.output.progress("looking for the payment") as bar:
        found = find(operator.books, operator.gateway, name, user, bar)
    return _show(operator, found)


def _row(payment: Item) -> list[object]:
    """Return the cells of one payment in the table of payments, in the order of COLUMNS.

    The cell ``paid`` is a decimal string, "" for an unpaid payment.
    """
    paid_minor = payment["paid_minor"]
    paid = "" if paid_minor is None else decimal_string(paid_minor, payment["currency"])
    bought = [payment[name] for name in ("payment_id", "user_id", "plan", "amount")]
    return [*bought, paid, payment["status"], payment["created_at"]]


def _objects(answer: dict[str, Any]) -> Iterator[list[object]]:
    """Yield a table row for each of the payment's objects at Stripe.

    They are the session, the payment intent, the refunds and the disputes.
    """
    if session := answer["session"]:
        status = f"{session['status']}, {session['payment_status']}"
        yield ["session", session["id"], status, session["amount_total"]]
    if intent := answer.get("payment_intent"):
        yield ["payment intent", intent["id"], intent["status"], ""]
    for name in ("refund", "dispute"):
        for row in answer.get(f"{name}s", []):
            yield [name, row["id"], row["status"], row["amount"]]


def _show(operator: Operator, payment: Payment) -> int:
    stripe = _ask_stripe(operator, payment)
    intent = (stripe.get("payment_intent") or {}).get("id", "")
    known = history(operator.books, payment, intent)
    differs = bool(stripe["differences"] or known["parked"])
    shown = list(_tables(payment, known, stripe))
    if differs:
        shown.append(REPAIR)
    operator.output.show({**known, "stripe": stripe}, *shown)
    if stripe["trouble"]:
        operator.output.tell(f"Stripe could not be read completely: {stripe['trouble']}")
        return UNREACHABLE
    return FOUND_SOMETHING if differs else FINE


def _tables(
    payment: Payment, known: dict[str, Any], stripe: dict[str, Any]
) -> Iterator[RenderableType]:
    yield facts(f"Payment {payment.payment_id}", known["payment"])
    yield table("Settled events", SETTLED, _cells(known["facts"], SETTLED))
    yield table("Ledger", LEDGER, _cells(known["entries"], LEDGER))
    if known["parked"]:
        yield table("Parked", PARKED, _cells(known["parked"], PARKED))
    if known["dropped"]:
        yield table("Dropped", DROPPED, _cells(known["dropped"], DROPPED))
    yield table("Stripe, now", ("object", "id", "status", "amount"), _objects(stripe))
    if stripe["differences"]:
        rows = [[text] for text in stripe["differences"]]
        yield table("Stripe and the books differ", ("difference",), rows)


def _cells(rows: Iterable[Mapping[str, Any]], names: Collection[str]) -> list[list[object]]:
    return [[row[name] for name in names] for row in rows]


def _ask_stripe(operator: Operator, payment: Payment) -> dict[str, Any]:
    """Return the payment's state at Stripe, with ``trouble`` None.

    If Stripe cannot be asked, ``trouble`` is the error and the rest is empty. The books are then
    shown without Stripe's state.
    """
    try:
        with operator.output.progress("asking Stripe"):
            return at_stripe(operator.books, operator.gateway, payment) | {"trouble": None}
    except (StripeServerError, BillingError) as error:
        return {"session": None, "differences": [], "trouble": str(error)}
