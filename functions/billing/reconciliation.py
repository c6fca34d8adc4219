"""Reconciliation: Stripe's objects against the books, both ways. What was missed is settled by the webhook's own path.

Sessions, refunds and disputes are listed, not events: Stripe itself may fail to make an event
(https://docs.stripe.com/webhooks/handle-irrecoverable-events). Bounded by pages and time; a run goes on where the last stopped.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, Final, Literal

from billing import observed, settlement
from billing.books import Books
from billing.errors import Item, RefusedError
from billing.events import Ignored
from billing.facts import Fact, SessionFact
from billing.gateway import Gateway, NotAtStripeError
from billing.identity import user_key
from billing.payments import Already, Change, Park, Payment, Phase, decide
from billing.plans import catalogue
from billing.times import from_epoch, stamp
from billing.writes import Write, absent, creates, equals

Kind = Literal["missing_here", "missing_there", "amount", "currency", "status", "identity"]
PHASES: Final = ("sessions", "refunds", "disputes", "ours")
DIFFERENCES_SHOWN_MAX: Final = 100
SOURCE: Final = "reconcile"
CURSORS: Final = {True: ("reconcile", "cursor"), False: ("reconcile", "cursor_dry")}
"""A dry run that is stopped goes on as one: it must not swallow the pages of a repair."""
LAST: Final = ("reconcile", "last")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which Stripe and the books do not agree."""

    kind: Kind
    stripe_id: str
    payment_id: str
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """What a run found. ``differences`` holds the first hundred, ``counts`` all of them."""

    matched: int = 0
    not_ours: int = 0
    repaired: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    finished: bool = False

    def add(self, difference: Difference) -> None:
        """Count it, show it while there is room."""
        self.counts[difference.kind] = self.counts.get(difference.kind, 0) + 1
        self.repaired += difference.repaired
        if len(self.differences) < DIFFERENCES_SHOWN_MAX:
            self.differences.append(difference)

    def as_answer(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: constant in size, whatever there is to look at."""

    since: int
    phase: str = PHASES[0]
    after: Any = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run's means and bounds. ``go_on`` is asked before every page. ``resumes``: a stopped run is gone on with by the next."""

    books: Books
    gateway: Gateway
    repair: bool
    go_on: Callable[[], bool]
    resumes: bool = True


def run(job: Run, since: int, *, told: Callable[[str, int], None] = lambda *_: None) -> Report:
    """Compare everything created since an epoch second. Resumes a run that was stopped, then starts a fresh one if time is left."""
    report = Report()
    kept = _kept_cursor(job)
    if kept is not None and not _cycle(job, kept, report, told):
        return report
    report.finished = _cycle(job, Cursor(since), report, told)
    if report.finished and job.repair and job.resumes:
        _note(job.books, LAST, {"finished_at": stamp(job.books.clock()), "counts": report.counts, "matched": report.matched})
    return report


def _cycle(job: Run, cursor: Cursor | None, report: Report, told: Callable[[str, int], None]) -> bool:
    """Page after page; the cursor is kept before each, so that any of them may be the last. True when all is done."""
    while cursor is not None:
        if not job.go_on():
            _keep_cursor(job, cursor)
            return False
        cursor = _page(job, cursor, report)
        told(cursor.phase if cursor else "done", report.matched + sum(report.counts.values()))
    _keep_cursor(job, None)
    return True


def _page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    job.books.store.patience.begin()
    if cursor.phase == "ours":
        after = _our_page(job, cursor, report)
        return replace(cursor, after=after) if after else None
    lister, look = {
        "sessions": (job.gateway.sessions, _look_at_session),
        "refunds": (job.gateway.refunds, _look_at_refund),
        "disputes": (job.gateway.disputes, _look_at_dispute),
    }[cursor.phase]
    page = lister(cursor.since, cursor.after)
    for row in page["data"]:
        job.books.store.patience.begin()
        look(job, row, report)
    if page["has_more"]:
        return replace(cursor, after=page["data"][-1]["id"])
    return Cursor(cursor.since, PHASES[PHASES.index(cursor.phase) + 1])


def look_again(job: Run, session_id: str, report: Report) -> None:
    """One purchase, its refunds and its disputes, as Stripe's API shows them now. Raises NotAtStripeError."""
    session = job.gateway.session(session_id)
    _look_at_session(job, session, report)
    if intent := observed.intent_of(session):
        for refund in islice(job.gateway.refunds_of(intent), 1):  # looking at one is looking at all of them
            _look_at_refund(job, refund, report)
        for dispute in job.gateway.disputes_of(intent):
            _look_at_dispute(job, dispute, report)


def _look_at_session(job: Run, session: Mapping[str, Any], report: Report) -> None:
    fact = observed.session(session, SOURCE, job.books.ours)
    if isinstance(fact, Ignored):
        report.not_ours += fact.reason != "still_open"
        return
    payment = _payment(job.books, fact.user_id, fact.payment_id)
    if payment is None and job.repair and (rebuilt := _rebuilt(job.books, fact, session)):
        payment = rebuilt
        report.add(
            Difference("missing_here", fact.session_id, fact.payment_id, "the payment's record was lost, and rebuilt", repaired=True)
        )
    _compare(job, fact, payment, fact.session_id, report)
    if fact.kind == "paid":
        _seen_at_stripe(job, fact)


def _look_at_refund(job: Run, refund: Mapping[str, Any], report: Report) -> None:
    intent = refund.get("payment_intent")
    owner = settlement.reference(job.books, intent) if isinstance(intent, str) else None
    if not isinstance(intent, str) or not owner or "payment_id" not in owner:
        report.not_ours += 1
        return
    payment = _payment(job.books, owner["user_id"], owner["payment_id"])
    fact = observed.refunds(intent, payment.currency if payment else "", job.gateway.refunds_of(intent), SOURCE)
    _compare(job, fact, payment, str(refund["id"]), report)


def _look_at_dispute(job: Run, dispute: Mapping[str, Any], report: Report) -> None:
    fact = observed.dispute(dispute, SOURCE)
    intent = dispute.get("payment_intent")
    owner = settlement.reference(job.books, intent) if isinstance(intent, str) else None
    if isinstance(fact, Ignored) or not owner or "payment_id" not in owner:
        report.not_ours += 1
        return
    _compare(job, fact, _payment(job.books, owner["user_id"], owner["payment_id"]), fact.dispute_id, report)


def _compare(job: Run, fact: Fact, payment: Payment | None, stripe_id: str, report: Report) -> None:
    """Decide as settlement would. A difference is what it would change."""
    decision = decide(payment, fact, "")
    name = payment.payment_id if payment else getattr(fact, "payment_id", "")
    if isinstance(decision, Already) or (isinstance(decision, Change) and not _differs(payment, decision)):
        report.matched += 1
        return
    kind, detail = _told(payment, decision)
    repaired = False
    if job.repair:
        outcome = settlement.apply(job.books, fact)
        repaired = outcome.status in ("settled", "recorded", "duplicate")
    report.add(Difference(kind, stripe_id, name, detail, repaired=repaired))


def _differs(payment: Payment | None, change: Change) -> bool:
    """Learning a refund's name is no difference; another state, or other units, are."""
    return payment is None or bool(change.units) or change.payment.status != payment.status


def _told(payment: Payment | None, decision: Change | Park) -> tuple[Kind, str]:
    if isinstance(decision, Change):
        was = payment.status if payment else "unknown"
        if decision.entry == "funded":
            return "missing_here", f"paid at Stripe, {was} here: {decision.units} units are owed"
        return "status", f"{was} here, {decision.payment.status} at Stripe; {decision.units:+d} units"
    if decision.kind == "unknown_payment":
        return "missing_here", decision.why
    if decision.kind == "mismatch" and "amount is" in decision.why:
        return "amount", decision.why
    if decision.kind == "mismatch" and "currency is" in decision.why:
        return "currency", decision.why
    return "identity", decision.why


def _rebuilt(books: Books, fact: SessionFact, session: Mapping[str, Any]) -> Payment | None:
    """A lost record, made anew from the session that we created: only at a price that the catalogue knows."""
    plan = catalogue().get(fact.plan)
    if fact.kind != "paid" or plan is None:
        return None
    if (plan.quota, plan.amount_minor, plan.currency) != (fact.quota, fact.amount_subtotal, fact.currency):
        return None
    payment = replace(Payment.of(plan, fact.payment_id, fact.user_id, from_epoch(int(session["created"]))), session_id=fact.session_id)
    owner = user_key(fact.user_id)
    try:
        books.store.commit(
            creates("payments", (owner, payment.payment_id), payment.to_item()),
            Write("payments", (owner, fact.session_id), set={"payment_id": payment.payment_id}),
        )
    except RefusedError:
        return _payment(books, fact.user_id, fact.payment_id)
    return payment


def _seen_at_stripe(job: Run, fact: SessionFact) -> None:
    """Note once that Stripe has this paid session, so that no later run asks for it one by one."""
    if not job.repair:
        return
    write = Write(
        "payments",
        (user_key(fact.user_id), fact.payment_id),
        set={"seen_at_stripe": True},
        must=(equals("session_id", fact.session_id), equals("phase", int(Phase.PAID)), absent("seen_at_stripe")),
    )
    try:
        job.books.store.commit(write)
    except RefusedError:
        return  # seen before, or not settled


def _our_page(job: Run, cursor: Cursor, report: Report) -> Item | None:
    """Our own records that say ``paid``: those that no listing has shown are asked for one by one."""
    page = job.books.store.scan("payments", after=cursor.after or None)
    for item in page.items:
        if item.get("phase") == int(Phase.PAID) and "seen_at_stripe" not in item and item["completed_at"] >= from_epoch(cursor.since):
            job.books.store.patience.begin()
            _look_at_ours(job, Payment.from_item(item), report)
    return page.after


def _look_at_ours(job: Run, payment: Payment, report: Report) -> None:
    try:
        session = job.gateway.session(payment.session_id)
    except NotAtStripeError:
        report.add(Difference("missing_there", payment.session_id, payment.payment_id, "credited here, unknown at Stripe"))
        return
    fact = observed.session(session, SOURCE, job.books.ours)
    if isinstance(fact, SessionFact) and fact.kind == "paid":
        _seen_at_stripe(job, fact)
        return
    report.add(
        Difference("missing_there", payment.session_id, payment.payment_id, f"credited here, {session.get('payment_status')} at Stripe")
    )


def _payment(books: Books, user_id: str, payment_id: str) -> Payment | None:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    return Payment.from_item(item) if item else None


def _kept_cursor(job: Run) -> Cursor | None:
    item = job.books.store.get("events", CURSORS[job.repair]) if job.resumes else None
    return Cursor(item["since"], item["phase"], item["after"]) if item and "phase" in item else None


def _keep_cursor(job: Run, cursor: Cursor | None) -> None:
    if not job.resumes:
        return
    if cursor is None:
        job.books.store.commit(Write("events", CURSORS[job.repair], delete=True))
    else:
        _note(job.books, CURSORS[job.repair], asdict(cursor))


def _note(books: Books, key: tuple[str, str], values: Mapping[str, Any]) -> None:
    books.store.commit(Write("events", key, set=values))
