"""What a checkout records, sends to Stripe and answers, to the last member."""

from dataclasses import replace
from typing import Any

import pytest
from billing.buying import checkout
from billing.buying.session_params import Shop
from billing.buying.sessions import Customer
from billing.errors import BillingError
from billing.payments.plan import Plan
from support.builders import SHOP, Still, books_on
from support.fakes.recording_store import Recorder
from support.fakes.stripe_sessions import Sessions
from support.transcripts import transcript

PLAN = Plan("small", "Small Pack", "50 API calls.", 500, "eur", 50)
DATED = replace(PLAN, expires_after_days=30)
KEY_ROW = "key#8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a"
"""SHA-256 of the caller's key, "k"."""


class Counter:
    """One checkout and its surroundings."""

    def __init__(self, *following: Any) -> None:
        """``following``: what becomes of the first requests to Stripe."""
        self.store, self.stripe = Recorder(), Sessions(*following)
        self.books = books_on(self.store, clock=Still())

    def buy(
        self,
        plan: Plan = PLAN,
        key: str = "",
        customer: Customer | None = None,
        shop: Shop = SHOP,
    ) -> dict[str, Any]:
        """Return the answer."""
        self.store.deadline.begin()
        return checkout.create(
            self.books,
            self.stripe,  # type: ignore[arg-type]
            shop,
            "alice",
            plan,
            key=key,
            customer=customer,
        )

    def told(self, payment_id: str) -> list[str]:
        """The transcripts of all transactions, with the payment's id as PAY."""
        return [transcript(writes, PAY=payment_id) for writes in self.store.sent]


RECORD = """\
payments user#alice / PAY
  set amount_minor = 500, attempt = 0, away_since = 0, created_at =
    '2026-01-02T03:04:05.000000Z', currency = 'eur', declined_at = 0, expires_after_days = 0,
    lot_expires_at = 0, movements = 0, paid_minor = 0, payment_id = 'PAY', phase = 0, plan =
    'small', quota = 50, reversals = {'refunded_high_minor': 0, 'failed': {}, 'standing': {},
    'disputes': {}}, status = 'pending', units_clawed_back = 0, units_expired = 0,
    units_written_off = 0, user_id = 'alice', version = 0
  must owner absent
"""
SESSION = """\
payments user#alice / PAY
  set expires_at = '2026-01-03T03:04:05.000000Z', session_id = 'cs_1', url = 'https://pay/1'
  must owner exists, session_id == 'cs_1' or absent
payments user#alice / cs_1
  set payment_id = 'PAY'
"""


def test_a_checkout_records_the_payment_and_then_its_session() -> None:
    """Two transactions, and Stripe is asked between them."""
    counter = Counter()
    answer = counter.buy()
    assert counter.told(answer["payment_id"]) == [RECORD, SESSION]
    assert answer == {
        "payment_id": answer["payment_id"],
        "session_id": "cs_1",
        "url": "https://pay/1",
        "plan": "small",
        "quota": 50,
        "amount_minor": 500,
        "amount": "5.00",
        "currency": "eur",
        "status": "pending",
        "expires_at": "2026-01-03T03:04:05.000000Z",
    }
    assert counter.stripe.keys == [f"{answer['payment_id']}-0"]


@pytest.mark.parametrize(
    ("customer", "order"),
    [
        (None, "payment_id = 'PAY', plan = 'small'"),
        (lambda _: "cus_1", "payment_id = 'PAY', plan = 'small', remember_card = True"),
    ],
)
def test_a_callers_key_leads_to_the_payment_and_keeps_the_order(
    customer: Customer | None, order: str
) -> None:
    """The key is stored as a hash alone."""
    counter = Counter()
    answer = counter.buy(key="k", customer=customer)
    key_row = f"payments user#alice / {KEY_ROW}\n  set {order}\n  must owner absent\n"
    assert counter.told(answer["payment_id"]) == [RECORD + key_row, SESSION]
    assert counter.buy(key="k", customer=customer) == answer
    other = None if customer else lambda _: "cus_1"
    with pytest.raises(BillingError, match=r"^idempotency_conflict: .* another body") as refused:
        counter.buy(key="k", customer=other)
    assert refused.value.status == 409
    assert len(counter.stripe.keys) == 1


def _params(payment_id: str) -> dict[str, Any]:
    claims = {
        "payment_id": payment_id,
        "user_id": "alice",
        "plan": "small",
        "quota": "50",
        "stack": "topup-test",
        "deployment": "dep_test",
    }
    price = {
        "currency": "eur",
        "unit_amount": 500,
        "product_data": {"name": "Small Pack", "description": "50 API calls."},
    }
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": "https://shop.example.com/?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example.com/?cancelled=1",
        "client_reference_id": payment_id,
        "metadata": claims,
        "payment_intent_data": {"metadata": claims},
        "adaptive_pricing": {"enabled": False},
    }


def test_stripe_is_asked_for_a_session_of_the_plan() -> None:
    """https://docs.stripe.com/api/checkout/sessions/create."""
    counter = Counter()
    answer = counter.buy()
    assert counter.stripe.params == [_params(answer["payment_id"])]


def test_the_life_of_the_units_is_in_the_metadata_where_they_expire() -> None:
    """So that the event alone says what was sold."""
    counter = Counter()
    counter.buy(DATED)
    (params,) = counter.stripe.params
    assert params["metadata"]["expires_after_days"] == "30"
    assert params["payment_intent_data"]["metadata"] == params["metadata"]


def test_a_shop_with_everything_on_asks_for_everything() -> None:
    """Tax on top of the price or in it, codes, invoices, and a card that is saved."""
    counter = Counter()
    shop = replace(
        SHOP,
        allow_promotion_codes=True,
        automatic_tax=True,
        invoice_creation=True,
        tax_behavior="inclusive",
    )
    answer = counter.buy(shop=shop, customer=lambda _: "cus_1")
    whole = _params(answer["payment_id"])
    whole["line_items"][0]["price_data"]["tax_behavior"] = "inclusive"
    whole["payment_intent_data"]["setup_future_usage"] = "off_session"
    assert counter.stripe.params == [
        {
            **whole,
            "allow_promotion_codes": True,
            "automatic_tax": {"enabled": True},
            "invoice_creation": {"enabled": True},
            "customer": "cus_1",
            "customer_update": {"address": "auto"},
        }
    ]


def test_a_saved_card_without_tax_changes_no_address() -> None:
    """Prices are exclusive of tax unless the template says otherwise."""
    counter = Counter()
    answer = counter.buy(customer=lambda _: "cus_1")
    whole = _params(answer["payment_id"])
    whole["payment_intent_data"]["setup_future_usage"] = "off_session"
    assert counter.stripe.params == [{**whole, "customer": "cus_1"}]
    assert SHOP.tax_behavior == "exclusive"
