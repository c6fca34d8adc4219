"""Accounts that are due, one after another: the trouble of one is its own."""

from dataclasses import replace
from typing import Any

import pytest
from billing.agreements.agreement import Agreement
from billing.charging.charge import Charge
from billing.errors import AwsRefusedError, BillingError, NotDoneError
from billing.stripe_api.outcomes import StripeServerError
from billing.top_up import attempts, runner, sweep
from billing.top_up.job import Job
from support.fakes.card_twin import LOST_BEFORE
from support.fakes.memory_store import Meddled, MemoryStore
from support.top_ups import USER, Story
from support.top_ups import story as begin


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


@pytest.mark.parametrize(
    "trouble",
    [
        NotDoneError("throttled"),
        AwsRefusedError("throttled"),
        BillingError("stripe_unavailable", "Stripe has trouble."),
        StripeServerError("throttled"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_an_account_in_trouble_stays_due_and_the_others_are_served(
    story: Story, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """It is told of, with the reason."""
    served = runner.run

    def run(job: Job, user_id: str) -> Agreement:
        if user_id == "broken":
            raise trouble
        return served(job, user_id)

    monkeypatch.setattr(runner, "run", run)
    failed: list[tuple[str, str]] = []
    users = ["broken", USER, "broken"]
    done = sweep.run_all(
        story.job, users, lambda: True, lambda user, why: failed.append((user, str(why)))
    )
    assert done == {"done": 1, "failed": 2}
    assert failed == [("broken", str(trouble))] * 2
    assert story.credited == 1
    assert sweep.run_all(story.job, ["broken"], lambda: True) == {"failed": 1}


def test_no_account_begins_without_time(story: Story) -> None:
    """It stays due."""
    left = iter([True, False])
    assert sweep.run_all(story.job, [USER, "bob", "carol"], lambda: next(left)) == {"done": 1}


def test_a_fault_of_ours_ends_the_sweep(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the log with its traceback, and an alarm fires."""

    def run(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runner, "run", run)
    with pytest.raises(ZeroDivisionError):
        sweep.run_all(story.job, [USER], lambda: True)


def test_an_account_is_due_from_its_time_on(story: Story) -> None:
    """And no more once it is charged."""
    assert list(sweep.due(story.books)) == [USER]
    story.run()
    assert list(sweep.due(story.books)) == []


def test_a_run_that_meets_a_concurrent_change_takes_it_into_account() -> None:
    """Switched off in that moment, nothing is charged."""
    store = Meddled()
    story = begin(store)
    store.first = story.switch_off
    story.run_only()
    assert (story.agreement.on, story.stripe.attempts) == (False, [])


def test_an_account_is_not_charged_while_stripe_cannot_say_what_was_charged_before(
    story: Story,
) -> None:
    """A restore may have lost a charge: it stays due."""
    story.stripe.is_down = True
    failed: list[str] = []
    done = sweep.run_all(
        story.job, [USER], lambda: True, lambda _, why: failed.append(type(why).__name__)
    )
    assert (done, failed) == ({"failed": 1}, ["NotDoneError"])
    assert not story.stripe.attempts
    story.stripe.is_down = False
    story.run()
    assert story.credited == 1


@pytest.mark.parametrize(
    ("stored", "is_another"),
    [
        ({}, False),
        ({"state": "processing"}, False),
        ({"state": "waiting"}, True),
        ({"attempt": 2}, True),
        ({"attempt": 2, "state": "waiting"}, True),
        ({"payment_id": "pay_2"}, True),
    ],
    ids=str,
)
def test_an_answer_belongs_to_the_attempt_that_was_asked(
    stored: dict[str, Any], *, is_another: bool
) -> None:
    """A concurrent run may have heard it before, and gone on."""
    asked = Charge(payment_id="pay_1", state="asked", attempt=1)
    assert attempts._is_another(replace(asked, **stored), asked) is is_another


@pytest.mark.parametrize("fault", ["", LOST_BEFORE])
def test_the_sweep_looks_at_an_open_charge_when_it_is_due(story: Story, fault: str) -> None:
    """And only a trouble is reported as one."""
    story.stripe.faults = [fault]
    story.run()
    open_charge = story.agreement.charge
    in_a_minute = int(story.books.clock().timestamp()) + 60
    assert story.agreement.due == (open_charge.due if open_charge else in_a_minute)
    assert len(story.troubles) == bool(fault)


def test_before_stripe_is_asked_the_sweep_knows_when_to_look(story: Story) -> None:
    """A minute later, in case that this container dies."""
    seen: list[int] = []

    def asked(*_: object) -> None:
        seen.append(story.agreement.due)
        raise ZeroDivisionError

    story.stripe.charge_card = asked  # type: ignore[assignment,method-assign]
    with pytest.raises(ZeroDivisionError):
        story.run_only()
    now = int(story.books.clock().timestamp())
    assert seen == [now + 60]
    assert list(sweep.due(story.books)) == []
    story.advance(seconds=60)
    assert list(sweep.due(story.books)) == [USER]


def test_a_fault_of_ours_is_not_taken_for_stripes(story: Story) -> None:
    """It is an internal error, and fires its alarm."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    story.stripe.intents_of = fails  # type: ignore[assignment,method-assign]
    with pytest.raises(ZeroDivisionError):
        story.run_only()


def test_before_stripe_is_asked_again_the_sweep_knows_when_to_look(story: Story) -> None:
    """Meanwhile a concurrent run leaves the charge alone."""
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    story.advance(minutes=10)
    seen: list[int] = []

    def asked(*_: object) -> None:
        seen.append(story.agreement.due)
        raise ZeroDivisionError

    story.stripe.charge_card = asked  # type: ignore[assignment,method-assign]
    with pytest.raises(ZeroDivisionError):
        story.run_only()
    assert seen == [int(story.books.clock().timestamp()) + 600]
    assert list(sweep.due(story.books)) == []
