"""How a charge ends, in each state of the agreement, and what that costs and tells."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.agreements.agreement import Agreement, paused
from billing.agreements.card import Card
from billing.agreements.rows import change
from billing.charging.charge import Charge
from billing.holds import placing
from billing.payments import plans
from billing.payments.payment import Phase
from billing.settings import Telling
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.top_up import runner
from billing.top_up.job import Job
from support.fakes.card_twin import LOST_BEFORE
from support.fakes.memory_store import MemoryStore
from support.top_ups import USER, Story
from support.top_ups import story as begin

START: Final = 1_767_323_045
HOUR: Final = 3600


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def _payment(story: Story) -> dict[str, Any]:
    (payment,) = story.payments
    return story.books.store.get("payments", (user_key(USER), payment.payment_id)) or {}


def _told(story: Story) -> list[tuple[str, Any]]:
    rows = story.books.store.pages("notices", USER)
    return [(row["type"], row["data"]["reason"]) for row in rows if "top_up." in row["type"]]


def test_a_charge_that_succeeds_after_switching_off_leaves_the_index(story: Story) -> None:
    """It is credited; nothing is looked at any more, and it stays off."""
    story.stripe.script = ["processing"]
    story.run()
    story.switch_off()
    story.stripe.end(story.payments[0].payment_id, "succeeded")
    story.advance(hours=1)
    done = story.run()
    assert (done.on, done.paused, done.charge, done.due, done.used) == (False, "", None, 0, 1)
    assert story.credited == 1


def test_a_charge_that_fails_after_switching_off_leaves_it_off(story: Story) -> None:
    """Its reason is shown, and it charges nothing until it is agreed to again."""
    story.stripe.script = ["processing"]
    story.run()
    story.switch_off()
    story.stripe.end(story.payments[0].payment_id, "lost_card")
    story.advance(hours=1)
    done = story.run()
    assert (done.on, done.paused, done.charge, done.due) == (False, "card_declined", None, 0)
    assert not done.charges


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("reason", "stays"),
    [
        ("plan_removed", False),
        ("price_changed", False),
        ("card_declined", True),
        ("refunded", True),
    ],
)
def test_a_pause_switches_nothing_on_and_off_only_what_is_not_sold_as_agreed(
    reason: Any, *, on: bool, stays: bool
) -> None:
    found = paused(Agreement(user_id="alice", on=on), reason)
    assert (found.on, found.paused, found.charges) == (on and stays, reason, False)


@pytest.mark.parametrize(("used", "left"), [(0, 0), (1, 0), (2, 1)])
def test_a_charge_that_fails_is_given_back_and_never_below_zero(
    story: Story, used: int, left: int
) -> None:
    story.stripe.script = ["processing"]
    story.run()
    story.books.store.commit(Write("quotas", (USER, "top_up"), set={"used": used}))
    story.stripe.end(story.payments[0].payment_id, "lost_card")
    story.advance(hours=1)
    assert story.run().used == left


def test_a_success_that_cannot_be_read_is_no_failure(story: Story) -> None:
    """The card was charged: the payment waits for reconciliation, and is not called failed."""
    charge_card = story.stripe.charge_card

    def asked(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        return {**charge_card(params, key), "amount": None}

    story.stripe.charge_card = asked  # type: ignore[assignment,method-assign]
    done = story.run()
    assert (done.charge, done.paused, done.used) == (None, "", 1)
    assert (_payment(story)["phase"], _payment(story)["status"]) == (0, "pending")
    story.reconcile()
    assert story.credited == 1


def _no_card(story: Story) -> None:
    story.agree(card=Card())


def _detached(story: Story) -> None:
    story.stripe.customers["cus_1"] = []


def _tired(story: Story) -> None:
    story.agree(tries={"print": tuple(range(START - 15, START))})


def _needs_its_holder(story: Story) -> None:
    story.stripe.script = ["authentication_required"]


@pytest.mark.parametrize(
    ("act", "reason", "asked"),
    [
        (_no_card, "card_gone", 0),
        (_detached, "card_gone", 1),
        (_tired, "too_many_attempts", 0),
        (_needs_its_holder, "authentication_required", 1),
    ],
)
def test_a_charge_that_is_not_made_says_why_in_its_payment_and_in_an_event(
    act: Any, reason: str, asked: int
) -> None:
    """The month's count is given back."""
    story = begin(MemoryStore(), telling=Telling(is_on=True))
    act(story)
    done = story.run()
    row = _payment(story)
    assert (row["phase"], row["status"], row["failure_code"]) == (4, "failed", reason)
    assert (done.paused, done.used, done.due, done.charge) == (reason, 0, 0, None)
    assert ("top_up.off", reason) in _told(story)
    assert len(story.stripe.keys) == asked
    if not asked:
        assert _told(story) == [("top_up.off", reason)]


@pytest.mark.parametrize(("tries", "asked"), [(14, 1), (15, 0), (16, 0)])
def test_a_card_has_fifteen_tries_in_thirty_days(story: Story, tries: int, asked: int) -> None:
    """The fifteenth is made."""
    story.agree(tries={"print": tuple(START - number for number in range(tries))})
    story.run()
    assert len(story.stripe.keys) == asked


@pytest.mark.parametrize(
    ("print_", "counted", "asked"),
    [("print", "print", 0), ("print", "pm_1", 1), ("", "pm_1", 0), ("", "", 1)],
)
def test_tries_are_counted_by_the_cards_number_where_stripe_shows_its_print(
    story: Story, print_: str, counted: str, asked: int
) -> None:
    """Saving a card again gives it another id, and no further tries."""
    tries = {counted: tuple(START - number for number in range(15))}
    story.agree(card=Card("pm_1", print=print_), tries=tries)
    story.run()
    assert len(story.stripe.keys) == asked


@pytest.mark.parametrize("reason", ["plan_removed", "price_changed"])
@pytest.mark.parametrize("is_open", [True, False])
def test_another_price_is_told_whether_a_charge_is_open_or_not(
    monkeypatch: pytest.MonkeyPatch, reason: str, *, is_open: bool
) -> None:
    """Once; and the next run has nothing to do."""
    story = begin(MemoryStore(), telling=Telling(is_on=True))
    if is_open:
        story.stripe.script = ["insufficient_funds"]
        story.run()
        story.advance(hours=1)
    told = [("top_up.failed", None)] if is_open else []
    sold = dict(plans.catalogue())
    plan = sold.pop("starter")
    if reason == "price_changed":
        sold["starter"] = replace(plan, currency="eur")
    monkeypatch.setattr(plans, "catalogue", lambda: sold)
    for _ in range(2):
        done = story.run()
        assert (done.on, done.paused, done.due, done.charge) == (False, reason, 0, None)
        assert _told(story) == [*told, ("top_up.off", reason)]


def test_a_plan_of_the_same_price_is_not_the_plan_that_was_agreed_to(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The declined charge is called off, and the new plan's is made."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    sold = dict(plans.catalogue())
    sold["twin"] = replace(sold["starter"], id="twin")
    monkeypatch.setattr(plans, "catalogue", lambda: sold)
    story.agree(plan="twin")
    story.advance(hours=1)
    story.run()
    first, second = story.payments
    assert (first.plan, first.phase) == ("starter", Phase.FAILED)
    assert (second.plan, second.phase) == ("twin", Phase.PAID)


class Watched(MemoryStore):
    """Notes when the agreement's row was due after each transaction."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.seen: list[int] = []

    def commit(self, *writes: Write) -> None:
        """Commit, then look."""
        super().commit(*writes)
        self.seen.append(self.tables["quotas"].get((USER, "top_up"), {}).get("expires_at", 0))


def test_a_charge_that_is_called_off_is_due_at_once_until_the_next_step_is_written() -> None:
    """This container may die in between: the sweep finds the account."""
    store = Watched()
    story = begin(store)
    story.stripe.script = ["insufficient_funds"]
    story.run_only()
    story.units(50)
    story.advance(hours=1)
    store.seen.clear()
    story.run_only()
    assert store.seen == [START + HOUR, 0]


def _idle(story: Story) -> None:
    story.run_only()


def _above(story: Story) -> None:
    story.units(50)


def _off(story: Story) -> None:
    story.switch_off()


def _off_and_seen(story: Story) -> None:
    story.switch_off()
    story.run_only()


def _kept_above_by_an_expired_hold(story: Story) -> None:
    story.units(50)
    placing.place(Meter(story.books, ""), USER, 50, 60)
    story.agree(due=START + 61)
    story.advance(seconds=61)


def _said(*words: str) -> Any:
    return lambda story: story.stripe.script.extend(words)


def _lost(story: Story) -> None:
    story.stripe.faults = [LOST_BEFORE]


def _unheard(story: Story) -> None:
    _lost(story)
    story.run_only()
    story.stripe.faults = [LOST_BEFORE]
    story.advance(minutes=5)


def _settled(story: Story) -> None:
    _said("processing")(story)
    story.run_only()
    story.stripe.end(story.payments[0].payment_id, "succeeded")
    story.deliver()


def _forgotten(story: Story) -> None:
    _unheard(story)
    store: Any = story.books.store
    store.tables["payments"].clear()


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        (_idle, 1),
        (_off, 2),
        (_off_and_seen, 1),
        (_kept_above_by_an_expired_hold, 5),
        (_above, 3),
        (_said(), 12),
        (_said("insufficient_funds"), 12),
        (_said("lost_card"), 12),
        (_said("processing"), 12),
        (_lost, 10),
        (_unheard, 5),
        (_settled, 3),
        (_forgotten, 3),
    ],
)
def test_a_run_makes_no_more_calls_to_the_tables_than_it_needs(before: Any, calls: int) -> None:
    """Each is time and money, and a run that goes round once more for nothing would show here."""
    store = MemoryStore()
    story = begin(store)
    before(story)
    made = store.calls
    story.run_only()
    assert store.calls - made == calls


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        (_idle, 1),
        (_off, 2),
        (_above, 3),
        (_said(), 15),
        (_said("insufficient_funds"), 15),
        (_said("lost_card"), 15),
        (_said("processing"), 14),
        (_lost, 10),
    ],
)
def test_only_an_event_that_goes_out_costs_a_look_at_the_account(before: Any, calls: int) -> None:
    """Its number is the account's next one."""
    store = MemoryStore()
    story = begin(store, telling=Telling(is_on=True))
    before(story)
    made = store.calls
    story.run_only()
    assert store.calls - made == calls


def test_a_run_needs_nobody_to_report_to_and_nothing_lost_to_find(story: Story) -> None:
    """Both are the caller's choice."""
    _lost(story)
    job = Job(story.books, story.job.asker)
    runner.run(job, USER)
    story.advance(minutes=5)
    assert runner.run(job, USER).charge is None
    assert story.credited == 1


def test_trouble_is_reported_with_its_payment(story: Story) -> None:
    _lost(story)
    told: list[tuple[str, str]] = []
    job = replace(story.job, report=lambda name, why: told.append((name, type(why).__name__)))
    runner.run(job, USER)
    assert told == [(story.payments[0].payment_id, "BillingError")]


def test_lost_charges_are_looked_for_before_the_first_attempt_alone(story: Story) -> None:
    """With the customer's names; where one is found, the account is looked at again."""
    asked: list[tuple[str, str]] = []

    def find_lost(user_id: str, customer: str) -> bool:
        asked.append((user_id, customer))
        return len(asked) == 1

    story.stripe.script = ["insufficient_funds"]
    job = replace(story.job, find_lost=find_lost)
    runner.run(job, USER)
    assert asked == [("alice", "cus_1")] * 2
    story.advance(hours=1)
    runner.run(job, USER)
    assert (len(asked), len(story.stripe.attempts)) == (2, 2)


def test_a_row_of_a_newer_version_is_read_and_keeps_what_is_not_known(story: Story) -> None:
    """Also where it lacks what an older version did not write."""
    key = (USER, "top_up")
    story.books.store.commit(Write("quotas", key, set={"colour": "red"}))
    before = story.agreement
    story.books.store.commit(change(before, replace(before, used=1)))
    assert (story.books.store.get("quotas", key) or {})["colour"] == "red"
    assert Agreement.from_item(USER, {"on": True}) == Agreement(user_id=USER, on=True)
    assert Agreement.from_item(USER, None) == Agreement(user_id=USER)
    charge = {"payment_id": "pay_1", "due": 5}
    found = Agreement.from_item(USER, {"charge": charge, "expires_at": 7, "due": 9})
    assert (found.charge, found.due) == (Charge(payment_id="pay_1", due=5), 7)
