"""Objects as Stripe sends them, of old and new versions and with every member, and what the webhook
makes of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
import stripe
from billing.payments.payment import Payment
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from functional.lab import Lab
from support import builders, payloads
from support.payloads import PARTS, event, session
from support.typed import faults, lacking

OLD_VERSION: Final = "2020-03-02"
Event = dict[str, Any]


@dataclass(frozen=True)
class Sold:
    """A paid session that differs from the plainest in ``members``.

    ``old``: members that Stripe has removed since; ``unsent``: members that Stripe did not know
    yet.
    """

    members: Callable[[Payment], Mapping[str, Any]] = lambda _: {}
    price: tuple[int, str] = (999, "usd")
    old: Mapping[str, Any] = field(default_factory=dict)
    unsent: tuple[str, ...] = ()
    around: Mapping[str, Any] = field(default_factory=dict)

    def event(self, payment: Payment) -> Event:
        """As it is delivered."""
        made = {**session(payment, **self.members(payment)), **self.old}
        return event("checkout.session.completed", _without(made, *self.unsent), **self.around)


def _without(whole: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name not in names}


def _free(_: Payment) -> Mapping[str, Any]:
    coupon = [{"coupon": "co_1", "promotion_code": "promo_1"}]
    paid = {"amount_total": 0, "payment_intent": None, "payment_status": "no_payment_required"}
    return {**paid, "discounts": coupon, "total_details": payloads.totals(discount=999)}


def _taxed(total: int) -> Callable[[Payment], Mapping[str, Any]]:
    totals = payloads.totals(tax=160)
    return lambda _: {
        "amount_total": total,
        "automatic_tax": payloads.TAXED,
        "total_details": totals,
    }


def _expanded(payment: Payment) -> Mapping[str, Any]:
    return {"payment_intent": payloads.intent(payment), "customer": payloads.customer()}


NEEDED: Final = (
    *("id", "object", "amount_subtotal", "amount_total", "currency", "livemode"),
    *("metadata", "mode", "payment_intent", "payment_status"),
)
NEWER: Final = tuple(name for name in stripe.checkout.Session.__annotations__ if name not in NEEDED)
SOLD: Final[dict[str, Sold]] = {
    "by card": Sold(),
    "of the version before": Sold(around={"api_version": "2026-03-25.dahlia"}),
    "to a customer whose objects are expanded": Sold(_expanded),
    "with a promotion code": Sold(
        lambda _: {
            "amount_total": 799,
            "discounts": [{"coupon": "co_1", "promotion_code": "promo_1"}],
            "total_details": payloads.totals(200),
        }
    ),
    "with nothing to pay": Sold(_free),
    "with tax on top": Sold(_taxed(1159)),
    "with tax in the price": Sold(_taxed(999)),
    # https://docs.stripe.com/changelog/basil/2025-03-31/add_presentment_details
    "shown in hryvnia": Sold(
        lambda _: {
            "presentment_details": {"presentment_amount": 41_700, "presentment_currency": "uah"}
        }
    ),
    "in yen": Sold(price=(1000, "jpy")),
    "in euros": Sold(price=(1099, "eur")),
    "with unrequested details": Sold(
        lambda _: {
            "customer_details": None,
            "custom_text": payloads.NO_TEXT,
            "collected_information": None,
            "total_details": None,
        }
    ),
    # https://docs.stripe.com/changelog/2020-08-27/removes-display-items-checkout-session
    # https://docs.stripe.com/changelog/2022-08-01/updates-shipping-property-checkout-session
    "of 2020, with members that are gone": Sold(
        lambda _: {"ui_mode": "hosted_page"},
        old={
            "display_items": [{"amount": 999, "currency": "usd", "quantity": 1, "type": "custom"}],
            "shipping": None,
            "shipping_rate": None,
        },
        unsent=(
            "adaptive_pricing",
            "presentment_details",
            "collected_information",
            "wallet_options",
            "ui_mode",
        ),
        around={"api_version": OLD_VERSION, "request": "req_made_up"},
    ),
    "by an event of no version": Sold(around={"api_version": None, "request": None}),
    "with nothing but what is needed": Sold(unsent=NEWER),
}


def _sell(lab: Lab, price: tuple[int, str] = (999, "usd"), payment_id: str = "pay_1") -> Payment:
    """A payment of 100 units at this price."""
    payment = replace(
        builders.pending(lab.books, payment_id=payment_id), amount_minor=price[0], currency=price[1]
    )
    lab.books.store.commit(
        Write("payments", (user_key("alice"), payment.payment_id), set=payment.to_item())
    )
    return payment


def _after(lab: Lab, payment: Payment) -> tuple[str, int]:
    status = lab.call("GET", f"/payments/{payment.payment_id}", sub="alice").json["status"]
    return status, lab.quota("alice")["remaining"]


def _tell(lab: Lab, *told: Event) -> list[str]:
    return [lab.deliver(one).json["status"] for one in told]


@pytest.mark.parametrize("sold", SOLD.values(), ids=SOLD)
def test_a_paid_session_of_any_shape_is_credited_once(lab: Lab, sold: Sold) -> None:
    """A second delivery is a duplicate. What was paid beside the price is no matter."""
    payment = _sell(lab, sold.price)
    source = sold.event(payment)
    subject = source["data"]["object"]
    assert [fault.partition(" ")[0] for fault in faults(stripe.checkout.Session, subject)] == list(
        sold.old
    )
    assert {*lacking(stripe.checkout.Session, subject)} <= {*sold.unsent}
    fact = parse(source, builders.OURS)
    assert not isinstance(fact, Ignored)
    assert fact.fact_id == source["id"]
    assert _tell(lab, source, source) == ["settled", "duplicate"]
    assert _after(lab, payment) == ("completed", 100)


WRONG_PRICE: Final[dict[str, tuple[tuple[int, str], Mapping[str, Any]]]] = {
    "the figure of another currency": ((1000, "usd"), {"currency": "jpy"}),
    "the seller's figure in the buyer's own currency": (
        (999, "usd"),
        {"currency": "uah", "amount_subtotal": 41_700, "amount_total": 41_700},
    ),
    "less than the price": ((999, "usd"), {"amount_subtotal": 998, "amount_total": 998}),
}


@pytest.mark.parametrize(("price", "members"), WRONG_PRICE.values(), ids=WRONG_PRICE)
def test_another_price_than_the_one_that_was_asked_for_waits_for_an_operator(
    lab: Lab, price: tuple[int, str], members: Mapping[str, Any]
) -> None:
    """A thousand yen are not ten dollars."""
    payment = _sell(lab, price)
    assert _tell(lab, event("checkout.session.completed", session(payment, **members))) == [
        "parked"
    ]
    assert _after(lab, payment) == ("pending", 0)


def _unpaid(payment: Payment, **members: Any) -> Event:
    by_bank = {"payment_status": "unpaid", "payment_method_types": ["us_bank_account"]}
    return event("checkout.session.completed", session(payment, **by_bank, **members))


def _late(payment: Payment, outcome: str) -> Event:
    status = "paid" if outcome == "succeeded" else "unpaid"
    return event(
        f"checkout.session.async_payment_{outcome}", session(payment, payment_status=status)
    )


def _expired(payment: Payment) -> Event:
    return event(
        "checkout.session.expired",
        session(payment, payment_status="unpaid", status="expired", payment_intent=None),
    )


def _paid(payment: Payment) -> Event:
    return event("checkout.session.completed", session(payment))


def _charge(payment: Payment, refunded: int, **members: Any) -> Event:
    return event("charge.refunded", payloads.charge(payment, refunded, **members))


def _refund(payment: Payment, kind: str, status: str, amount: int = 999, **members: Any) -> Event:
    return event(kind, payloads.refund(payment, "re_1", amount, status, **members))


def _dispute(payment: Payment, kind: str, status: str, *amounts: int, **members: Any) -> Event:
    return event(f"charge.dispute.{kind}", payloads.dispute(payment, status, *amounts, **members))


def _intent(payment: Payment, kind: str, **members: Any) -> Event:
    subject = (
        payloads.declined(payment, **members)
        if kind == "payment_failed"
        else payloads.intent(payment, **members)
    )
    return event(f"payment_intent.{kind}", subject)


STORIES: Final[dict[str, tuple[Callable[[Payment], list[Event]], tuple[str, int]]]] = {
    "a bank debit that is under way": (lambda p: [_unpaid(p)], ("processing", 0)),
    "a bank debit that succeeds": (
        lambda p: [_unpaid(p), _late(p, "succeeded"), _unpaid(p)],
        ("completed", 100),
    ),
    "a bank debit that fails": (lambda p: [_unpaid(p), _late(p, "failed")], ("failed", 0)),
    "a bank debit whose failure comes first": (
        lambda p: [_late(p, "failed"), _unpaid(p)],
        ("failed", 0),
    ),
    "an unpaid session": (lambda p: [_expired(p)], ("expired", 0)),
    "a paid session that is reported as expired": (
        lambda p: [_paid(p), _expired(p)],
        ("completed", 100),
    ),
    "a card that is declined": (lambda p: [_intent(p, "payment_failed")], ("failed", 0)),
    "a decline without its error": (
        lambda p: [_intent(p, "payment_failed", last_payment_error=None)],
        ("failed", 0),
    ),
    "a card that is declined, and another": (
        lambda p: [_intent(p, "payment_failed"), _paid(p)],
        ("completed", 100),
    ),
    "a purchase whose intent tells it too": (
        lambda p: [_intent(p, "succeeded"), _paid(p)],
        ("completed", 100),
    ),
    "refunded in parts": (
        lambda p: [_paid(p), _charge(p, 333), _charge(p, 666)],
        ("partially_refunded", 34),
    ),
    "refunded in parts, reported in reverse order": (
        lambda p: [_paid(p), _charge(p, 666), _charge(p, 333)],
        ("partially_refunded", 34),
    ),
    "refunded whole": (lambda p: [_paid(p), _charge(p, 999)], ("refunded", 0)),
    "refunded by a charge that lists its refunds": (
        lambda p: [_paid(p), _charge(p, 666, refunds=payloads.old_refunds(p, 333, 333))],
        ("partially_refunded", 34),
    ),
    "refunded by a charge with an expanded intent": (
        lambda p: [_paid(p), _charge(p, 999, payment_intent=payloads.intent(p))],
        ("refunded", 0),
    ),
    "a refund that fails": (
        lambda p: [
            _paid(p),
            _charge(p, 999),
            _refund(p, "refund.failed", "failed", failure_reason="expired_or_canceled_card"),
        ],
        ("completed", 100),
    ),
    "a canceled refund, reported by the old event": (
        lambda p: [_paid(p), _charge(p, 999), _refund(p, "charge.refund.updated", "canceled")],
        ("completed", 100),
    ),
    "a refund that gets its bank's reference": (
        lambda p: [
            _paid(p),
            _charge(p, 999),
            _refund(
                p,
                "refund.updated",
                "succeeded",
                destination_details={"type": "card", "card": {"type": "refund", "reference": "1"}},
            ),
        ],
        ("refunded", 0),
    ),
    "disputed": (
        lambda p: [_paid(p), _dispute(p, "created", "needs_response", -999)],
        ("disputed", 0),
    ),
    "disputed, before any money moved": (
        lambda p: [_paid(p), _dispute(p, "created", "needs_response")],
        ("disputed", 100),
    ),
    "disputed in part": (
        lambda p: [_paid(p), _dispute(p, "funds_withdrawn", "needs_response", -333, amount=333)],
        ("disputed", 67),
    ),
    "disputed and won": (
        lambda p: [
            _paid(p),
            _dispute(p, "created", "needs_response", -999),
            _dispute(p, "closed", "won", -999, 999),
        ],
        ("completed", 100),
    ),
    "disputed and lost": (
        lambda p: [
            _paid(p),
            _dispute(p, "funds_withdrawn", "needs_response", -999),
            _dispute(p, "closed", "lost", -999),
        ],
        ("refunded", 0),
    ),
    "lost, and won on appeal": (
        lambda p: [
            _paid(p),
            _dispute(p, "closed", "lost", -999),
            _dispute(p, "updated", "appeal_under_review", -999),
            _dispute(p, "closed", "won", -999, 999),
        ],
        ("completed", 100),
    ),
    "an inquiry that ended": (
        lambda p: [
            _paid(p),
            _dispute(p, "created", "warning_needs_response"),
            _dispute(p, "closed", "warning_closed"),
        ],
        ("completed", 100),
    ),
    "a dispute that was prevented": (
        lambda p: [_paid(p), _dispute(p, "created", "prevented")],
        ("completed", 100),
    ),
    "a dispute that is prevented after it began": (
        lambda p: [
            _paid(p),
            _dispute(p, "created", "needs_response"),
            _dispute(p, "closed", "prevented"),
        ],
        ("completed", 100),
    ),
    "a dispute whose charge is expanded": (
        lambda p: [
            _paid(p),
            _dispute(
                p,
                "closed",
                "lost",
                -999,
                charge=payloads.charge(p, 0),
                payment_intent=payloads.intent(p),
            ),
        ],
        ("refunded", 0),
    ),
    "disputed on an account of another currency": (
        lambda p: [_paid(p), _dispute(p, "created", "needs_response", -880, currency="eur")],
        ("disputed", 0),
    ),
    "a dispute in another currency that is reported without its money later": (
        lambda p: [
            _paid(p),
            _dispute(p, "funds_withdrawn", "needs_response", -880, currency="eur"),
            _dispute(p, "updated", "under_review"),
        ],
        ("disputed", 0),
    ),
    "a dispute in another currency that was reported without its money before": (
        lambda p: [
            _paid(p),
            _dispute(p, "created", "needs_response"),
            _dispute(p, "closed", "lost", -880, currency="eur"),
        ],
        ("refunded", 0),
    ),
    "an early fraud warning": (
        lambda p: [_paid(p), event("radar.early_fraud_warning.created", payloads.warning(p))],
        ("completed", 100),
    ),
}


@pytest.mark.parametrize(("told", "ends"), STORIES.values(), ids=STORIES)
def test_the_story_of_a_purchase_ends_where_it_should(
    lab: Lab, told: Callable[[Payment], list[Event]], ends: tuple[str, int]
) -> None:
    """Every object in it is whole, and as Stripe's own library describes it.

    Delivered once more, nothing changes.
    """
    payment = _sell(lab)
    events = told(payment)
    for one in events:
        subject = one["data"]["object"]
        for kind, part in ((PARTS[subject["object"]], subject), (stripe.Event, one)):
            assert [*faults(kind, part), *lacking(kind, part)] == []
    assert not {"parked"} & {*_tell(lab, *events)}
    assert _after(lab, payment) == ends
    assert not {"parked", "settled"} & {*_tell(lab, *events)}
    assert _after(lab, payment) == ends


NOT_OURS: Final[dict[str, tuple[Callable[[Payment], Event], str]]] = {
    "of the other mode": (lambda p: _paid(p) | {"livemode": True}, "other_mode"),
    "a live session in a test event": (
        lambda p: event("checkout.session.completed", session(p, livemode=True)),
        "other_mode",
    ),
    "of a connected account": (lambda p: _paid(p) | {"account": "acct_1"}, "other_account"),
    "of an organization's account": (lambda p: _paid(p) | {"context": "acct_1"}, "other_account"),
    "a subscription": (
        lambda p: event(
            "checkout.session.completed",
            session(p, mode="subscription", subscription="sub_1", payment_intent=None),
        ),
        "not_ours",
    ),
    "a card saved for later": (
        lambda p: event(
            "checkout.session.completed",
            session(
                p,
                mode="setup",
                setup_intent="seti_1",
                payment_intent=None,
                payment_status="no_payment_required",
            ),
        ),
        "not_ours",
    ),
    "another product's session": (
        lambda p: event(
            "checkout.session.completed",
            session(p, metadata={"order_id": "42"}, client_reference_id="42"),
        ),
        "not_ours",
    ),
    "a session without metadata": (
        lambda p: event("checkout.session.completed", session(p, metadata=None)),
        "not_ours",
    ),
    "another integration's decline": (
        lambda p: _intent(p, "payment_failed", metadata={}),
        "not_ours",
    ),
    "a session without an amount": (
        lambda p: event(
            "checkout.session.completed", session(p, amount_subtotal=None, amount_total=None)
        ),
        "unreadable",
    ),
    "a payment status of tomorrow": (
        lambda p: event(
            "checkout.session.completed", session(p) | {"payment_status": "authorized"}
        ),
        "unreadable",
    ),
    "a charge without an intent": (lambda p: _charge(p, 999, payment_intent=None), "not_ours"),
    "a refund of nothing": (
        lambda p: _refund(p, "refund.failed", "failed", charge=None, payment_intent=None),
        "not_ours",
    ),
    "a customer": (lambda _: event("customer.created", payloads.customer()), "not_of_interest"),
    "an invoice": (
        lambda p: event(
            "invoice.paid",
            {
                "id": "in_1",
                "object": "invoice",
                "metadata": builders.metadata(p),
                "amount_paid": 999,
            },
        ),
        "not_of_interest",
    ),
    "a checkout's intent that succeeded": (lambda p: _intent(p, "succeeded"), "of_a_checkout"),
    "a type of tomorrow": (
        lambda p: _paid(p) | {"type": "checkout.session.reviewed"},
        "not_of_interest",
    ),
    "a thin event": (lambda _: payloads.thin(), "unsupported"),
    "a thin event about a type of ours": (
        lambda _: payloads.thin("checkout.session.completed"),
        "unsupported",
    ),
    "an event with nothing in it": (lambda p: _paid(p) | {"data": {}}, "unreadable"),
    "an event that is barely one": (
        lambda _: {"object": "event", "type": "checkout.session.completed", "livemode": False},
        "unreadable",
    ),
}


@pytest.mark.parametrize(("told", "reason"), NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_not_ours_is_ignored_and_counted_by_its_reason(
    lab: Lab, told: Callable[[Payment], Event], reason: str
) -> None:
    """Nothing is written, however often it comes."""
    payment = _sell(lab)
    source = told(payment)
    before = lab.everything()
    assert parse(source, builders.OURS) == Ignored(reason)
    assert _tell(lab, source, source) == ["ignored", "ignored"]
    assert lab.everything() == before


@pytest.mark.parametrize("mode", ["true", "false"])
@pytest.mark.parametrize("told", [told for told, _ in STORIES.values()], ids=STORIES)
def test_events_of_others_move_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, told: Callable[[Payment], list[Event]], mode: str
) -> None:
    """The same stories of another seller on the account, at a live and at a test endpoint: without
    our metadata they move nothing.
    """
    monkeypatch.setenv("LIVEMODE", mode)
    payment = _sell(lab)
    for one in told(replace(payment, payment_id="pay_other", session_id="cs_other")):
        one["data"]["object"]["metadata"] = {}
        assert lab.deliver(one).json["status"] in ("ignored", "parked")
    assert lab.rows("QuotasTable") == lab.rows("LedgerTable") == []
    assert _after(lab, payment) == ("pending", 0)
