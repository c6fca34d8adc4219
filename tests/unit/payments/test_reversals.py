import itertools
from dataclasses import replace
from typing import Any

import pytest
from billing import facts
from billing.facts import DisputeFact, RefundsFact
from billing.payments.deciding import decide
from billing.payments.decision import Change
from billing.payments.payment import Payment, Phase
from billing.payments.plans import catalogue
from billing.payments.reversals import Reversals
from support import builders
from support.builders import fact

PAYMENT = Payment.of(catalogue()["starter"], "pay_1", "alice", "")
"""9.99 for 100 units."""


def _known(*events: dict[str, object]) -> Reversals:
    known = Reversals()
    for event in events:
        found = fact(event)
        assert isinstance(found, RefundsFact | DisputeFact)
        known = known.with_fact(found)
    return known


def _taken(*events: dict[str, object]) -> int:
    return _known(*events).units_to_take_back(100, 999)


@pytest.mark.parametrize("figures", [(500, 700), (700, 500), (500, 700, 700), (700,)])
def test_refunds_are_cumulative_in_whichever_order_they_come(figures: tuple[int, ...]) -> None:
    """100 * 700 // 999."""
    assert _taken(*(builders.refunded(PAYMENT, figure) for figure in figures)) == 70


@pytest.mark.parametrize(
    ("refunded", "units"), [(0, 0), (5, 0), (9, 0), (10, 1), (998, 99), (999, 100)]
)
def test_a_part_of_a_unit_stays_with_the_customer(refunded: int, units: int) -> None:
    """Whole numbers, rounded down, until the last cent is out."""
    assert _taken(builders.refunded(PAYMENT, refunded)) == units


def test_refund_and_dispute_together_take_no_more_than_was_credited() -> None:
    """A full refund that is reported twice is still one full refund."""
    assert (
        _taken(
            builders.refunded(PAYMENT, 999),
            builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -999),
        )
        == 100
    )


def test_a_refund_that_failed_is_as_if_it_had_not_been() -> None:
    high, gone = builders.refunded(PAYMENT, 700), builders.refund(PAYMENT, "re_1", 200)
    assert _taken(high, gone) == _taken(gone, high) == 50


def test_disputed_money_that_came_back_is_not_out() -> None:
    """By the money, whatever the status says; a late event undoes nothing."""
    out = builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -600)
    back = builders.dispute(PAYMENT, "funds_reinstated", "under_review", -600, 600)
    assert _taken(out) == 60
    assert _taken(out, back) == _taken(back, out) == 0


def test_an_event_without_transactions_undoes_none() -> None:
    """The union of those seen counts."""
    out = builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -600)
    assert _taken(out, builders.dispute(PAYMENT, "updated", "under_review")) == 60


def test_a_disputes_fee_is_not_the_customers() -> None:
    """The balance transaction's amount, not its net."""
    assert _taken(builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -500)) == 50


def test_a_dispute_settled_in_another_currency_is_scaled_to_what_was_disputed() -> None:
    """9.99 in dollars went out as 9.00 in another currency: all units."""
    event = builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -900)
    event["data"]["object"]["balance_transactions"][0]["currency"] = "eur"
    assert _taken(event) == 100


def test_a_lost_dispute_stays_lost() -> None:
    """An older event that comes later does not open it again."""
    lost = builders.dispute(PAYMENT, "closed", "lost", -999)
    late = builders.dispute(PAYMENT, "updated", "under_review", -999)
    known = _known(lost, late)
    assert not known.is_disputed
    assert known.returned_minor == 999


@pytest.mark.parametrize("first", ["lost", "won"])
def test_a_dispute_that_was_lost_and_won_on_appeal_is_won_in_any_order_of_events(
    first: str,
) -> None:
    """The last word is the stronger one, and the money is back."""
    lost = builders.dispute(PAYMENT, "closed", "lost", -999)
    won = builders.dispute(PAYMENT, "closed", "won", -999, 999)
    bare = [
        builders.dispute(PAYMENT, "closed", word) for word in ("lost", "won")
    ]  # no money was ever seen to move
    for events in ([lost, won], bare):
        known = _known(*(events if first == "lost" else reversed(events)))
        assert (known.is_disputed, known.returned_minor, known.units_to_take_back(100, 999)) == (
            False,
            0,
            0,
        )


def test_a_lost_dispute_whose_money_all_came_back_gave_the_customer_nothing() -> None:
    """By the money, once any was seen; by the disputed amount before."""
    assert _known(builders.dispute(PAYMENT, "closed", "lost", -999, 999)).returned_minor == 0
    assert _known(builders.dispute(PAYMENT, "closed", "lost")).returned_minor == 999


def _bought() -> Payment:
    return replace(PAYMENT, phase=Phase.PAID, paid_minor=999)


def _told(*events: dict[str, Any]) -> Payment:
    payment = _bought()
    for event in events:
        if isinstance(decision := decide(payment, fact(event), ""), Change):
            payment = decision.payment
    return payment


def test_a_lost_dispute_over_the_whole_amount_reads_refunded_though_a_cent_came_back() -> None:
    """The status follows the disputed amount, the units follow the money."""
    payment = _told(builders.dispute(PAYMENT, "closed", "lost", -999, 8))
    assert (payment.status, payment.units_clawed_back) == ("refunded", 100 * 991 // 999)


def test_a_lost_dispute_over_a_part_reads_partially_refunded() -> None:
    """Only 600 of 999 were disputed."""
    payment = _told(builders.dispute(PAYMENT, "closed", "lost", -600, 8, amount=600))
    assert (payment.status, payment.units_clawed_back) == ("partially_refunded", 100 * 592 // 999)


@pytest.mark.parametrize("word", ["won", "warning_closed", "prevented"])
def test_a_dispute_that_ended_well_is_over_though_less_came_back_than_went_out(word: str) -> None:
    """The status follows the end of the dispute, the units follow the money."""
    payment = _told(builders.dispute(PAYMENT, "closed", word, -999, 891))
    assert (payment.status, payment.units_clawed_back) == ("completed", 100 * 108 // 999)


def test_a_won_dispute_is_open_until_its_money_comes_back() -> None:
    """Stripe reinstates the money after it closes the dispute."""
    out = builders.dispute(PAYMENT, "closed", "won", -999)
    assert _told(out).status == "disputed"
    back = builders.dispute(PAYMENT, "funds_reinstated", "won", -999, 991)
    assert _told(out, back).status == _told(back, out).status == "completed"


def test_a_prevented_dispute_is_none() -> None:
    """No money moves by it, and nothing stays open."""
    known = _known(builders.dispute(PAYMENT, "created", "prevented"))
    assert (known.is_disputed, known.returned_minor) == (False, 0)


def _in_euros(event: dict[str, Any]) -> dict[str, Any]:
    for row in event["data"]["object"]["balance_transactions"]:
        row["currency"] = "eur"
    return event


def test_a_won_dispute_is_over_though_the_rate_has_changed() -> None:
    """900 went out and 880 came back of what is 9.99 to the customer: the seller bears the
    difference.
    """
    out = _in_euros(builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -900))
    back = _in_euros(builders.dispute(PAYMENT, "funds_reinstated", "under_review", -900, 880))
    won = _in_euros(builders.dispute(PAYMENT, "closed", "won", -900, 880))
    for order in itertools.permutations((out, back, won)):
        known = _known(*order)
        assert (known.is_disputed, known.units_to_take_back(100, 999)) == (False, 0)


def test_two_withdrawals_in_another_currency_come_to_what_was_disputed() -> None:
    """The first event knew of one of them only."""
    first = _in_euros(builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -450))
    both = _in_euros(builders.dispute(PAYMENT, "updated", "needs_response", -450, -450))
    assert _known(first, both) == _known(both, first)
    assert _taken(both, first) == 100


def test_the_disputed_amount_is_that_of_the_event_with_the_money() -> None:
    """An inquiry about all of it becomes a chargeback of half: half of the units, in any order.

    The amount may differ from the charge's, and may fall:
    https://docs.stripe.com/api/disputes/object#dispute_object-amount
    """
    asked = builders.dispute(PAYMENT, "created", "warning_needs_response")
    out = _in_euros(
        builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -450, amount=500)
    )
    for order in itertools.permutations((asked, out, asked)):
        assert _taken(*order) == 50


def test_what_a_newer_version_wrote_is_read_after_going_back() -> None:
    """Reversals, disputes and parked facts: members that we do not know are left alone."""
    known = _known(
        builders.refunded(PAYMENT, 5),
        builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -9),
    )
    item = known.to_item()
    item["disputes"]["du_1"]["tomorrow"] = item["tomorrow"] = "?"
    assert Reversals.from_item(item) == known
    parked = fact(builders.refunded(PAYMENT, 5))
    assert facts.from_item({**facts.to_item(parked), "tomorrow": "?"}) == parked


@pytest.mark.parametrize(
    ("event", "later"),
    [
        (
            builders.completed(replace(PAYMENT, session_id="cs_test_1")),
            {"needs_record": True},
        ),
        (builders.declined(PAYMENT), {"needs_record": True}),
        (
            builders.refunded(PAYMENT, 5),
            {
                "refunded_minor": 0,
                "failed": {},
                "standing": {},
                "needs_record": False,
                "payment_id": "",
                "user_id": "",
            },
        ),
        (builders.dispute(PAYMENT, "created", "lost"), {"converted": False}),
    ],
    ids=["session", "declined", "refunds", "dispute"],
)
def test_what_an_older_version_wrote_is_read(event: dict[str, Any], later: dict[str, Any]) -> None:
    """A parked event, or a message: the members that came later have what was true before them."""
    item = facts.to_item(fact(event))
    old = {name: value for name, value in item.items() if name not in later}
    assert facts.to_item(facts.from_item(old)) == item | later


def test_an_inquiry_is_no_dispute() -> None:
    """No money has moved: ``warning_needs_response``. A formal one is, even
    before the money goes.
    """
    assert not _known(builders.dispute(PAYMENT, "created", "warning_needs_response")).is_disputed
    assert _known(builders.dispute(PAYMENT, "created", "needs_response")).is_disputed


@pytest.mark.parametrize(
    ("paid", "taken"), [(-1, 0), (0, 0), (1, 100), (9, 55), (10, 50), (999, 0), (500, 1)]
)
def test_units_are_taken_back_in_the_share_of_what_was_paid(paid: int, taken: int) -> None:
    """Of a purchase for which nothing was paid nothing can be given back."""
    assert Reversals(standing={"re_1": 5}).units_to_take_back(100, paid) == taken
