"""What is done about one open charge, to the second, on both sides of every bound."""

import pytest
from billing.charging.answers import (
    Answer,
    Declined,
    NotMade,
    Processing,
    Refused,
    Succeeded,
    Unknown,
)
from billing.charging.charge import Charge, State
from billing.charging.declines import Verdict, verdict
from billing.charging.state_machine import (
    Begin,
    Closed,
    Look,
    Send,
    Step,
    Wait,
    after,
    begin,
    next_step,
    put_off,
)

NOW = 1_767_323_045
HOUR = 3600
DAY = 24 * HOUR


def _asked(seconds: int, attempt: int = 0, state: State = "asked") -> Charge:
    """A charge that was asked for so long ago."""
    return Charge(payment_id="pay_1", state=state, attempt=attempt, asked_at=NOW - seconds)


@pytest.mark.parametrize(
    ("charge", "step"),
    [
        (Charge(payment_id="pay_1", due=NOW + 1), Wait()),
        (Charge(payment_id="pay_1", due=NOW), Begin()),
        (_asked(0), Send()),
        (_asked(23 * HOUR - 1), Send()),
        (_asked(23 * HOUR), Look()),
        (_asked(1, state="processing"), Look()),
    ],
)
def test_a_request_is_repeated_under_its_key_for_23_hours_and_then_looked_for(
    charge: Charge, step: Step
) -> None:
    """Stripe keeps a key for 24 hours at least."""
    assert next_step(charge, NOW) == step


def test_a_request_that_is_about_to_be_sent_is_due_again_after_a_minute() -> None:
    """With what it is sent with."""
    found = begin(Charge(payment_id="pay_1", attempt=2), "pm_1", "cus_1", NOW)
    assert (found.state, found.asked_at, found.due) == ("asked", NOW, NOW + 60)
    assert (found.card, found.customer, found.key) == ("pm_1", "cus_1", "pay_1-2")


@pytest.mark.parametrize(
    ("known_for", "pause"),
    [(0, 60), (60, 60), (61, 61), (HOUR - 1, HOUR - 1), (HOUR, HOUR), (HOUR + 1, HOUR)],
)
def test_an_unknown_outcome_is_asked_for_after_as_long_as_it_is_unknown(
    known_for: int, pause: int
) -> None:
    """A minute at least and an hour at most."""
    assert put_off(_asked(known_for), NOW).due == NOW + pause


@pytest.mark.parametrize(("attempt", "pause"), [(0, HOUR), (1, 6 * HOUR), (2, 24 * HOUR)])
@pytest.mark.parametrize("intent", ["", "pi_2"])
def test_a_soft_decline_is_tried_again_after_1_6_and_24_hours(
    attempt: int, pause: int, intent: str
) -> None:
    """As a new attempt at the same intent, or at the one that Stripe names."""
    charge = Charge(payment_id="pay_1", state="asked", attempt=attempt, intent="pi_1", card="pm_1")
    assert after(charge, Declined("soft", intent), NOW) == Charge(
        payment_id="pay_1", attempt=attempt + 1, due=NOW + pause, intent=intent or "pi_1"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Succeeded("pi_1"), ""),
        (Declined("hard"), "card_declined"),
        (Declined("authentication"), "authentication_required"),
        (Declined("soft"), "declined_too_often"),
        (Refused("card_gone"), "card_gone"),
    ],
)
def test_what_ends_the_fourth_attempt_ends_the_charge(answer: Answer, reason: str) -> None:
    found = after(_asked(5, attempt=3), answer, NOW)
    assert isinstance(found, Closed)
    assert found.reason == reason


@pytest.mark.parametrize("answer", [Unknown(), NotMade()])
def test_what_is_unknown_changes_nothing_within_the_keys_life(answer: Answer) -> None:
    """A charge that Stripe does not list yet may still be made."""
    charge = _asked(23 * HOUR - 1)
    assert after(charge, answer, NOW) is charge


def test_a_charge_that_was_never_made_is_a_soft_decline_once_its_key_has_ended() -> None:
    """What is unknown then stays unknown."""
    charge = _asked(23 * HOUR)
    assert after(charge, NotMade("pi_2"), NOW) == Charge(
        payment_id="pay_1", attempt=1, due=NOW + HOUR, intent="pi_2"
    )
    assert after(charge, Unknown(), NOW) is charge


def test_money_under_way_is_looked_for_after_an_hour() -> None:
    """At the intent that Stripe named."""
    found = after(_asked(5), Processing("pi_2"), NOW)
    assert isinstance(found, Charge)
    assert (found.state, found.intent, found.due) == ("processing", "pi_2", NOW + HOUR)


@pytest.mark.parametrize(
    "code",
    [
        # https://docs.stripe.com/declines/codes: nothing that waiting could change
        *("card_not_supported", "currency_not_supported", "do_not_try_again", "expired_card"),
        *("fraudulent", "incorrect_number", "invalid_account", "invalid_expiry_month"),
        *("invalid_expiry_year", "invalid_number", "lost_card", "merchant_blacklist"),
        *("new_account_information_available", "pickup_card", "restricted_card"),
        *("revocation_of_all_authorizations", "revocation_of_authorization"),
        *("security_violation", "service_not_allowed", "stolen_card", "stop_payment_order"),
        "transaction_not_allowed",
        # https://docs.stripe.com/billing/revenue-recovery/smart-retries
        *("highest_risk_level", "no_such_payment_method", "payment_method_not_available"),
        "account_closed",
    ],
)
@pytest.mark.parametrize("name", ["code", "decline_code"])
def test_the_same_card_is_not_tried_again_after_these(code: str, name: str) -> None:
    """Wherever Stripe puts the word."""
    assert verdict({"code": "card_declined", name: code}) == "hard"


@pytest.mark.parametrize(
    ("error", "found"),
    [
        ({"code": "authentication_required"}, "authentication"),
        ({"code": "authentication_not_handled"}, "authentication"),
        ({"code": "card_declined", "decline_code": "authentication_required"}, "authentication"),
        ({"code": "expired_card", "decline_code": "authentication_required"}, "authentication"),
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "soft"),
        ({"code": "processing_error"}, "soft"),
        ({"code": "card_declined", "decline_code": "a_word_to_come"}, "soft"),
        ({"decline_code": "insufficient_funds", "advice_code": "do_not_try_again"}, "hard"),
        ({"decline_code": "insufficient_funds", "advice_code": "confirm_card_data"}, "hard"),
        ({"decline_code": "insufficient_funds", "advice_code": "try_again_later"}, "soft"),
        ({}, "soft"),
    ],
)
def test_a_decline_needs_the_customer_or_another_card_or_time(
    error: dict[str, str], found: Verdict
) -> None:
    """The issuer's advice counts more than the code."""
    assert verdict(error) == found
