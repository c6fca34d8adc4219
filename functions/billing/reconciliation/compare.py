"""Comparing one object of Stripe's with the books, or one payment with Stripe; what was missed is settled by the webhook's own path."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from billing.books import Books
from billing.clock import from_epoch
from billing.errors import ConditionFailedError
from billing.facts import Fact, SessionFact
from billing.payments import parking, settlement
from billing.payments.payment import Already, Change, Park, Payment, Phase, decide
from billing.payments.plans import catalogue
from billing.reconciliation.report import Difference, Report, differs, told
from billing.storage.keys import user_key
from billing.storage.writes import Write, creates, equals, exists
from billing.stripe_api import objects
from billing.stripe_api.client import Gateway, StripeNotFoundError
from billing.stripe_api.events import GONE, Ignored, claims_in

SOURCE: Final = "reconcile"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The means. ``repair``: settle what was missed; otherwise nothing at all is written."""

    books: Books
    gateway: Gateway
    repair: bool


def look_again(by: Comparison, session_id: str, report: Report) -> None:
    """One purchase, its refunds and its disputes, as Stripe's API shows them now.

    Raises StripeNotFoundError.
    """
    session = by.gateway.session(session_id)
    look_at_session(by, session, report)
    if intent := objects.intent_of(session):
        for refund in islice(
            by.gateway.refunds_of(intent), 1
        ):  # looking at one is looking at all of them
            look_at_refund(by, refund, report)
        for dispute in by.gateway.disputes_of(intent):
            look_at_dispute(by, dispute, report)


def look_at_session(by: Comparison, session: Mapping[str, Any], report: Report) -> None:
    """Credit it if it is paid and was not credited; make its record anew if that was lost."""
    fact = objects.session(session, SOURCE, by.books.ours)
    if isinstance(fact, Ignored):
        report.not_ours += fact.reason != "still_open"
        return
    payment = _payment(by.books, fact.user_id, fact.payment_id)
    if payment is None and settlement.why_nobodys(by.books, fact):
        _let_go(by, fact, report)
        return
    if payment is None and by.repair and (rebuilt := _rebuilt(by.books, fact, session)):
        payment = rebuilt
        report.add(
            Difference(
                "missing_here",
                fact.session_id,
                fact.payment_id,
                "the payment's record was lost, and rebuilt",
                repaired=True,
            )
        )
    _compare(by, fact, payment, fact.session_id, report)
    if fact.kind == "paid" and not (payment and payment.phase is Phase.PAID and not payment.unseen):
        _seen_at_stripe(by, fact)


def look_at_refund(by: Comparison, refund: Mapping[str, Any], report: Report) -> None:
    """Stripe is asked for all refunds of its payment, unless this one is known already: units follow from the sum."""
    payment = _reversed(by, refund, report)
    if payment is None:
        return
    if payment.reversals.knows(str(refund["id"]), gone=refund["status"] in GONE):
        report.matched += 1
        return
    intent = payment.payment_intent
    fact = objects.refunds(intent, payment.currency, by.gateway.refunds_of(intent), SOURCE)
    _compare(by, fact, payment, str(refund["id"]), report)


def look_at_dispute(by: Comparison, dispute: Mapping[str, Any], report: Report) -> None:
    """By the money that is out."""
    payment, fact = _reversed(by, dispute, report), objects.dispute(dispute, SOURCE)
    if payment and not isinstance(fact, Ignored):
        _compare(by, fact, payment, fact.dispute_id, report)


def look_at_ours(by: Comparison, payment: Payment, report: Report) -> None:
    """A payment that is paid here and that no listing has shown: Stripe is asked for its session."""
    try:
        session = by.gateway.session(payment.session_id)
    except StripeNotFoundError:
        report.add(
            Difference(
                "missing_there",
                payment.session_id,
                payment.payment_id,
                "credited here, unknown at Stripe",
            )
        )
        return
    fact = objects.session(session, SOURCE, by.books.ours)
    if isinstance(fact, SessionFact) and fact.kind == "paid":
        _seen_at_stripe(by, fact)
        return
    detail = f"credited here, {session.get('payment_status')} at Stripe"
    report.add(Difference("missing_there", payment.session_id, payment.payment_id, detail))


def _compare(
    by: Comparison, fact: Fact, payment: Payment | None, stripe_id: str, report: Report
) -> None:
    """Decide as settlement would.

    A difference is what it would change; what is learned beside that is written all the same.
    """
    decision = decide(payment, fact, "")
    if isinstance(decision, Already):
        report.matched += 1
        return
    if isinstance(decision, Park) and parking.is_dropped(by.books, fact):
        report.dropped += 1
        return
    repaired = by.repair and settlement.apply(by.books, fact).status in (
        "settled",
        "recorded",
        "duplicate",
    )
    if isinstance(decision, Change) and not differs(payment, decision):
        report.matched += 1
        return
    kind, detail = told(payment, decision)
    name = payment.payment_id if payment else getattr(fact, "payment_id", "")
    report.add(Difference(kind, stripe_id, name, detail, repaired=repaired))


def _reversed(by: Comparison, reversal: Mapping[str, Any], report: Report) -> Payment | None:
    """The paid payment that a refund or dispute belongs to.

    None, and said in the report, where it is not ours or not known.
    """
    intent = objects.intent_of(reversal)
    found = settlement.reference(by.books, intent) if intent else None
    if found and "payment_id" in found:
        return _payment(by.books, found["user_id"], found["payment_id"])
    expanded = reversal.get("payment_intent")
    claims = (
        claims_in(expanded, by.books.ours) if isinstance(expanded, Mapping) else Ignored("not_ours")
    )
    payment = (
        None
        if isinstance(claims, Ignored)
        else _payment(by.books, claims["user_id"], claims["payment_id"])
    )
    if payment is None or payment.payment_intent != intent:
        report.not_ours += isinstance(claims, Ignored) or (
            payment is None and claims["needs_record"]
        )
        return None  # one of ours that is not settled yet: its session tells
    report.add(
        Difference(
            "missing_here",
            intent,
            payment.payment_id,
            "nothing led from this payment intent",
            repaired=by.repair,
        )
    )
    if by.repair:
        settlement.refer(by.books, payment)
    return payment


def _rebuilt(books: Books, fact: SessionFact, session: Mapping[str, Any]) -> Payment | None:
    """A lost record, made anew from the session that we created: only at a price that the catalogue knows."""
    plan = catalogue().get(fact.plan)
    if fact.kind != "paid" or plan is None:
        return None
    if (plan.quota, plan.amount_minor, plan.currency) != (
        fact.quota,
        fact.amount_subtotal,
        fact.currency,
    ):
        return None
    payment = replace(
        Payment.of(plan, fact.payment_id, fact.user_id, from_epoch(int(session["created"]))),
        session_id=fact.session_id,
    )
    owner = user_key(fact.user_id)
    try:
        books.store.commit(
            creates("payments", (owner, payment.payment_id), payment.to_item()),
            Write("payments", (owner, fact.session_id), set={"payment_id": payment.payment_id}),
        )
    except ConditionFailedError:
        return _payment(books, fact.user_id, fact.payment_id)
    return payment


def _let_go(by: Comparison, fact: SessionFact, report: Report) -> None:
    """No difference: nothing is owed for it here. What an older version parked about it goes too."""
    if settlement.moves_nothing(fact):
        report.matched += 1
    else:
        report.not_ours += 1
    if by.repair and (record := parking.find(by.books, parking.name_of(fact))):
        settlement.retry(by.books, record)


def _seen_at_stripe(by: Comparison, fact: SessionFact) -> None:
    """Take the payment out of the index of those that no listing has shown."""
    if not by.repair:
        return
    key = (user_key(fact.user_id), fact.payment_id)
    try:
        by.books.store.commit(
            Write(
                "payments",
                key,
                remove=("unseen",),
                must=(equals("session_id", fact.session_id), exists("unseen")),
            ),
        )
    except ConditionFailedError:
        return  # seen before, or not settled


def _payment(books: Books, user_id: str, payment_id: str) -> Payment | None:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    return Payment.from_item(item) if item else None
