"""``topup payments`` and ``topup payment``: lists payments, and shows one with its history."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Final, assert_never

import typer
from billing.books import Books
from billing.errors import BillingError, Item
from billing.facts import DeclinedFact, DisputeFact, Fact, RefundsFact, SessionFact, from_item
from billing.money import decimal_string
from billing.payments import parking, references
from billing.payments.payment import Already, Change, Park, Payment, decide
from billing.storage.keys import user_key
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.client import Gateway, StripeNotFoundError, StripeServerError
from rich.console import RenderableType

from infra.cli.command import Operator, command
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, not_found, usage
from infra.cli.output import Bar, facts, table

LIMIT_MAX: Final = 10_000
STATUSES: Final = (
    "pending",
    "processing",
    "completed",
    "failed",
    "expired",
    "partially_refunded",
    "refunded",
    "disputed",
)
COLUMNS: Final = ("payment_id", "user_id", "plan", "amount", "paid", "status", "created_at")
REFERENCES: Final = ("pi_", "ch_")
SESSION_MEMBERS: Final = ("id", "status", "payment_status", "amount_total", "currency")
REVERSAL_MEMBERS: Final = ("id", "amount", "status")
SETTLED: Final = ("booked_at", "fact_id", "type", "units")
LEDGER: Final = ("booked_at", "entry_id", "type", "units")
DROPPED: Final = ("dropped_at", "fact_id", "type", "reason")
PARKED: Final = ("fact_id", "why")
REPAIR: Final = (
    "`topup reconcile --repair` settles what is missing,"
    " `topup parked` shows what needs an operator"
)
ENTRIES: Final = ("reversal", "adjusted")
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
    """Return one row of the list. ``paid`` is a decimal string, "" for an unpaid payment."""
    paid_minor = payment["paid_minor"]
    paid = "" if paid_minor is None else decimal_string(paid_minor, payment["currency"])
    bought = [payment[name] for name in ("payment_id", "user_id", "plan", "amount")]
    return [*bought, paid, payment["status"], payment["created_at"]]


def newest(books: Books, user_id: str, status: str, limit: int, bar: Bar) -> list[Payment]:
    """Return the newest payments. At most ``limit`` of them are in memory."""
    rows = _payments_of(books, user_id) if user_id else every_payment(books, bar)
    wanted = (row for row in map(Payment.from_item, rows) if status in ("", row.status))
    if user_id:
        return list(islice(wanted, limit))
    return heapq.nlargest(limit, wanted, key=lambda row: (row.created_at, row.payment_id))


def find(books: Books, gateway: Gateway, name: str, user_id: str, bar: Bar) -> Payment:
    """Return a payment by any of its ids. Raises OperatorError for an unknown one."""
    if not name.startswith("pay_"):
        known = _metadata(books, gateway, name)
        user_id = user_id or str(known.get("user_id", ""))
        name = str(known.get("payment_id", ""))
    item = _find_item(books, user_id, name, bar) if name else None
    if item is None:
        repair = "`topup reconcile` finds payments that Stripe knows and the books do not"
        raise not_found("there is no such payment in the books", repair)
    return Payment.from_item(item)


def _find_item(books: Books, user_id: str, name: str, bar: Bar) -> Item | None:
    if user_id:
        return books.store.get("payments", (user_key(user_id), name))
    return next((row for row in every_payment(books, bar) if row["payment_id"] == name), None)


def _metadata(books: Books, gateway: Gateway, name: str) -> Mapping[str, Any]:
    """Return user and payment id of one of Stripe's ids. Raises OperatorError for another id."""
    if name.startswith("cs_"):
        return gateway.session(name).get("metadata") or {}
    if not name.startswith(REFERENCES):
        repair = "give pay_..., cs_..., pi_... or ch_..."
        raise usage(f"{name!r} is not an id of a payment", repair)
    row = references.find(books, name)
    return asdict(row) if row.payment_id else _metadata_at_stripe(gateway, name)


def _metadata_at_stripe(gateway: Gateway, name: str) -> Mapping[str, Any]:
    """Return the metadata of the session that a payment intent or a charge belongs to.

    The books have the ids only once the payment is settled.
    """
    intent = gateway.charge(name).get("payment_intent") if name.startswith("ch_") else name
    if not intent:
        return {}
    session = gateway.session_of_intent(str(intent))
    return (session or gateway.payment_intent(str(intent))).get("metadata") or {}


def every_payment(books: Books, bar: Bar) -> Iterator[Item]:
    """Yield every payment, page by page."""
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("payments", after=after)
        bar(len(page.items))
        yield from (
            row for row in page.items if "payment_id" in row and row["id"].startswith("pay_")
        )
        if (after := page.after) is None:
            return


def history(books: Books, payment: Payment, intent: str) -> dict[str, Any]:
    """Return what the books have on a payment: events, ledger entries, parked and dropped events.

    ``intent`` is the payment intent's id at Stripe.
    """
    books.store.deadline.begin()
    marks = sorted(
        books.store.pages("events", payment.payment_id), key=lambda row: row["booked_at"]
    )
    entries = (
        list(books.store.pages("ledger", payment.user_id, f"funded:{payment.funding_id}"))
        if payment.funding_id
        else []
    )
    for kind in ENTRIES:
        entries += books.store.pages("ledger", payment.user_id, f"{kind}:{payment.payment_id}:")
    intents = {intent, payment.payment_intent} - {""}
    parked = [
        row.as_answer()
        for row in parking.all_parked(books)
        if _is_about(row.fact, payment, intents)
    ]
    dropped = [
        row
        for row in parking.all_dropped(books)
        if _is_about(from_item(row["fact"]), payment, intents)
    ]
    return {
        "payment": payment.as_answer() | {"user_id": payment.user_id},
        "facts": [_members(row, SETTLED) for row in marks],
        "entries": [_members(row, LEDGER) for row in entries],
        "parked": parked,
        "dropped": [_members(row, DROPPED) for row in dropped],
    }


def at_stripe(books: Books, gateway: Gateway, payment: Payment) -> dict[str, Any]:
    """Return the payment's state at Stripe, and a sentence for each difference in the books."""
    books.store.deadline.begin()
    if not payment.funding_id:
        return {"session": None, "differences": []}
    try:
        purchase = gateway.purchase(payment.funding_id)
    except StripeNotFoundError:
        what = "session" if payment.session_id else "payment intent"
        text = f"the {what} is unknown at Stripe"
        if payment.completed_at:
            text = "credited here, unknown at Stripe"
        return {"session": None, "differences": [text]}
    intent = purchase.get("payment_intent") if payment.session_id else purchase
    intent_id = objects.intent_of(purchase)
    refunds = list(gateway.refunds_of(intent_id)) if intent_id else []
    disputes = gateway.disputes_of(intent_id) if intent_id else []
    found: list[Fact | Ignored] = [objects.purchase(purchase, "operator", books.ours)]
    if refunds:
        found.append(objects.refunds(intent_id, payment.currency, refunds, "operator"))
    found += [objects.dispute(row, "operator") for row in disputes]
    intent_row = None
    if isinstance(intent, Mapping):
        intent_row = {"id": intent_id, "status": intent["status"]}
    return {
        "session": _members(purchase, SESSION_MEMBERS) if payment.session_id else None,
        "payment_intent": intent_row,
        "refunds": [_members(row, REVERSAL_MEMBERS) for row in refunds],
        "disputes": [_members(row, REVERSAL_MEMBERS) for row in disputes],
        "differences": [text for fact in found if (text := _difference(payment, fact))],
    }


def _members(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _difference(payment: Payment, fact: Fact | Ignored) -> str:
    """Return what settling this would change, "" for nothing visible."""
    if isinstance(fact, Ignored):
        if fact.reason == "still_open":
            return ""
        return f"Stripe's object with this id is not read as ours: {fact.reason}"
    match decide(payment, fact, ""):
        case Park(why=why):
            return why
        case Already():
            return ""
        case Change(payment=changed, units=units):
            if not units and changed.status == payment.status:
                return ""
            return f"{payment.status} here, {changed.status} at Stripe: {units:+d} units to settle"
        case other:
            assert_never(other)


def _payments_of(books: Books, user_id: str) -> Iterator[Item]:
    after = None
    while True:
        page = books.store.query(
            "payments", user_key(user_id), prefix="pay_", newest_first=True, after=after
        )
        yield from page.items
        if (after := page.after) is None:
            return


def _is_about(fact: Fact, payment: Payment, intents: Collection[str]) -> bool:
    match fact:
        case RefundsFact() | DisputeFact():
            return fact.payment_intent in intents
        case SessionFact() | DeclinedFact():
            return fact.payment_id == payment.payment_id
        case other:
            assert_never(other)


def _objects(answer: dict[str, Any]) -> Iterator[list[object]]:
    """Yield a row for each of Stripe's objects."""
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
    """Return the state at Stripe, or the error: the books can be shown without it."""
    try:
        with operator.output.progress("asking Stripe"):
            return at_stripe(operator.books, operator.gateway, payment) | {"trouble": None}
    except (StripeServerError, BillingError) as error:
        return {"session": None, "differences": [], "trouble": str(error)}
