"""``topup payments`` and ``topup payment``: what was bought, and the whole history of one purchase."""

import heapq
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Final

import typer
from billing.books import Books
from billing.errors import BillingError, Item
from billing.facts import DisputeFact, Fact, RefundsFact, from_item
from billing.money import decimal_string
from billing.payments import parking
from billing.payments.payment import Change, Park, Payment, decide
from billing.payments.settlement import reference
from billing.storage.keys import user_key
from billing.stripe_api import objects
from billing.stripe_api.client import Gateway, StripeNotFoundError, StripeServerError
from billing.stripe_api.events import Ignored

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
REFERENCES: Final = ("pi_", "ch_")
ENTRIES: Final = ("reversal", "adjusted")
User = Annotated[
    str,
    typer.Option(
        "--user",
        help="The user id; without it a payment id is looked for everywhere, which takes a while.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add both commands."""

    @command(app, "payments")
    def payments(
        operator: Operator,
        user: Annotated[str, typer.Option("--user", help="Only this customer's.")] = "",
        status: Annotated[
            str, typer.Option("--status", help=f"Only these: {', '.join(STATUSES)}.")
        ] = "",
        limit: Annotated[
            int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="So many of the newest.")
        ] = 50,
    ) -> None:
        """List payments, newest first. Without --user the whole table is read, a page at a time."""
        if status and status not in STATUSES:
            raise usage(f"{status!r} is no status", f"one of: {', '.join(STATUSES)}")
        with operator.output.progress("reading payments") as bar:
            found = [
                row.as_answer() | {"user_id": row.user_id}
                for row in newest(operator.books, user, status, limit, bar)
            ]
        rows = [_listed(row) for row in found]
        columns = ("payment", "user", "plan", "amount", "paid", "status", "created")
        operator.output.show(
            {"payments": found}, table(f"{len(found)} payments, newest first", columns, rows)
        )

    @command(app, "payment")
    def payment(
        operator: Operator,
        name: Annotated[
            str, typer.Argument(metavar="ID", help="pay_..., cs_..., pi_... or ch_...")
        ],
        user: User = "",
    ) -> int:
        """Show one purchase: our record, every fact settled, its ledger entries, and what Stripe says now. Exit 1 if they differ."""
        with operator.output.progress("looking for the payment") as bar:
            found = find(operator.books, operator.gateway, name, user, bar)
        return _show(operator, found)


def _listed(payment: Item) -> list[object]:
    """One row of the list. ``paid`` is a decimal as ``amount`` is, and empty before it is paid."""
    paid_minor = payment["paid_minor"]
    paid = "" if paid_minor is None else decimal_string(paid_minor, payment["currency"])
    bought = [payment[name] for name in ("payment_id", "user_id", "plan", "amount")]
    return [*bought, paid, payment["status"], payment["created_at"]]


def newest(books: Books, user_id: str, status: str, limit: int, bar: Bar) -> list[Payment]:
    """The newest payments; memory for no more than ``limit`` of them."""
    rows = _of_user(books, user_id) if user_id else everyones(books, bar)
    wanted = (row for row in map(Payment.from_item, rows) if status in ("", row.status))
    if user_id:
        return list(islice(wanted, limit))
    return heapq.nlargest(limit, wanted, key=lambda row: (row.created_at, row.payment_id))


def find(books: Books, gateway: Gateway, name: str, user_id: str, bar: Bar) -> Payment:
    """A payment by any of its names. Raises OperatorError when there is none."""
    if name.startswith(REFERENCES):
        row = reference(books, name)
        known = row if row and "payment_id" in row else _as_stripe_knows(gateway, name)
        user_id, name = user_id or str(known.get("user_id", "")), str(known.get("payment_id", ""))
    elif name.startswith("cs_"):
        metadata = gateway.session(name).get("metadata") or {}
        user_id, name = (
            user_id or str(metadata.get("user_id", "")),
            str(metadata.get("payment_id", "")),
        )
    elif not name.startswith("pay_"):
        raise usage(f"{name!r} is no id of a payment", "give pay_..., cs_..., pi_... or ch_...")
    if user_id:
        item = books.store.get("payments", (user_key(user_id), name))
    else:
        item = (
            next((row for row in everyones(books, bar) if row["payment_id"] == name), None)
            if name
            else None
        )
    if item is None:
        raise not_found(
            "there is no such payment in the books",
            "`topup reconcile` finds payments that Stripe knows and the books do not",
        )
    return Payment.from_item(item)


def _as_stripe_knows(gateway: Gateway, name: str) -> Mapping[str, Any]:
    """The metadata of the session that a payment intent or a charge belongs to: the books know it once it is settled."""
    intent = gateway.charge(name).get("payment_intent") if name.startswith("ch_") else name
    session = gateway.session_of_intent(str(intent)) if intent else None
    return (session or {}).get("metadata") or {}


def everyones(books: Books, bar: Bar) -> Iterator[Item]:
    """Every payment of everybody, page by page."""
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
    """What the books know: settled facts, ledger entries, facts still parked, and those dropped.

    ``intent``: as Stripe names it.
    """
    books.store.deadline.begin()
    marks = sorted(
        books.store.pages("events", payment.payment_id), key=lambda row: row["booked_at"]
    )
    entries = (
        list(books.store.pages("ledger", payment.user_id, f"funded:{payment.session_id}"))
        if payment.session_id
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
        "facts": [
            {name: row[name] for name in ("booked_at", "fact_id", "type", "units")} for row in marks
        ],
        "entries": [
            {name: row[name] for name in ("booked_at", "entry_id", "type", "units")}
            for row in entries
        ],
        "parked": parked,
        "dropped": [
            {name: row[name] for name in ("dropped_at", "fact_id", "type", "reason")}
            for row in dropped
        ],
    }


def at_stripe(books: Books, gateway: Gateway, payment: Payment) -> dict[str, Any]:
    """What Stripe says now, and in which words the books differ from it."""
    books.store.deadline.begin()
    if not payment.session_id:
        return {"session": None, "differences": []}
    try:
        session = gateway.session(payment.session_id)
    except StripeNotFoundError:
        told = (
            ["credited here, unknown at Stripe"]
            if payment.completed_at
            else ["the session is unknown at Stripe"]
        )
        return {"session": None, "differences": told}
    intent = session.get("payment_intent")
    intent_id = objects.intent_of(session)
    refunds = list(gateway.refunds_of(intent_id)) if intent_id else []
    disputes = gateway.disputes_of(intent_id) if intent_id else []
    found: list[Fact | Ignored] = [objects.session(session, "operator", books.ours)]
    found += [objects.refunds(intent_id, payment.currency, refunds, "operator")] if refunds else []
    found += [objects.dispute(row, "operator") for row in disputes]
    return {
        "session": {
            name: session.get(name)
            for name in ("id", "status", "payment_status", "amount_total", "currency")
        },
        "payment_intent": {"id": intent_id, "status": intent["status"]}
        if isinstance(intent, dict)
        else None,
        "refunds": [
            {name: row.get(name) for name in ("id", "amount", "status")} for row in refunds
        ],
        "disputes": [
            {name: row.get(name) for name in ("id", "amount", "status")} for row in disputes
        ],
        "differences": [text for fact in found if (text := _differs(payment, fact))],
    }


def _differs(payment: Payment, fact: Fact | Ignored) -> str:
    """What settling this would change; "" for nothing that anybody would notice."""
    if isinstance(fact, Ignored):
        return (
            ""
            if fact.reason == "still_open"
            else f"what Stripe has under this id is not read as ours: {fact.reason}"
        )
    decision = decide(payment, fact, "")
    if isinstance(decision, Park):
        return decision.why
    if isinstance(decision, Change) and (
        decision.units or decision.payment.status != payment.status
    ):
        return f"{payment.status} here, {decision.payment.status} at Stripe: {decision.units:+d} units to settle"
    return ""


def _of_user(books: Books, user_id: str) -> Iterator[Item]:
    after = None
    while True:
        page = books.store.query(
            "payments", user_key(user_id), prefix="pay_", newest_first=True, after=after
        )
        yield from page.items
        if (after := page.after) is None:
            return


def _is_about(fact: Fact, payment: Payment, intents: Collection[str]) -> bool:
    if isinstance(fact, RefundsFact | DisputeFact):
        return fact.payment_intent in intents
    return fact.payment_id == payment.payment_id


def _objects(told: dict[str, Any]) -> Iterator[list[object]]:
    if session := told["session"]:
        yield [
            "session",
            session["id"],
            f"{session['status']}, {session['payment_status']}",
            session["amount_total"],
        ]
    if intent := told.get("payment_intent"):
        yield ["payment intent", intent["id"], intent["status"], ""]
    for name in ("refund", "dispute"):
        for row in told.get(f"{name}s", []):
            yield [name, row["id"], row["status"], row["amount"]]


def _show(operator: Operator, payment: Payment) -> int:
    told = _told(operator, payment)
    known = history(operator.books, payment, (told.get("payment_intent") or {}).get("id", ""))
    differs = bool(told["differences"] or known["parked"])
    operator.output.show(
        {**known, "stripe": told},
        facts(f"Payment {payment.payment_id}", known["payment"]),
        table(
            "Settled facts",
            ("booked", "fact", "type", "units"),
            [list(row.values()) for row in known["facts"]],
        ),
        table(
            "Ledger",
            ("booked", "entry", "type", "units"),
            [list(row.values()) for row in known["entries"]],
        ),
        *(
            [
                table(
                    "Parked",
                    ("fact", "why"),
                    [[row["fact_id"], row["why"]] for row in known["parked"]],
                )
            ]
            if known["parked"]
            else []
        ),
        *(
            [
                table(
                    "Dropped",
                    ("dropped", "fact", "type", "reason"),
                    [[*row.values()] for row in known["dropped"]],
                )
            ]
            if known["dropped"]
            else []
        ),
        table("Stripe, now", ("what", "id", "status", "amount"), _objects(told)),
        *(
            [
                table(
                    "Stripe and the books differ",
                    ("what",),
                    [[text] for text in told["differences"]],
                )
            ]
            if told["differences"]
            else []
        ),
        *(
            [
                "`topup reconcile --repair` settles what is missing, `topup parked` shows what waits for a person"
            ]
            if differs
            else []
        ),
    )
    if told["trouble"]:
        operator.output.tell(f"Stripe was not asked to the end: {told['trouble']}")
        return UNREACHABLE
    return FOUND_SOMETHING if differs else FINE


def _told(operator: Operator, payment: Payment) -> dict[str, Any]:
    """What Stripe says; when it does not answer, that, because the books can be shown all the same."""
    try:
        with operator.output.progress("asking Stripe"):
            return at_stripe(operator.books, operator.gateway, payment) | {"trouble": None}
    except (StripeServerError, BillingError) as error:
        return {"session": None, "differences": [], "trouble": str(error)}
