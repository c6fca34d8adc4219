"""A sweep over many accounts: each has its own time, and pages are read to the end."""

from typing import Any, Final

import pytest
from billing.agreements.agreement import Agreement
from billing.charging.charge import Charge
from billing.deadline import Deadline
from billing.errors import NotDoneError
from billing.storage.writes import Write
from billing.top_up import sweep
from billing.top_up.telling import told_by
from support import builders
from support.fakes.memory_store import MemoryStore
from support.top_ups import USER
from support.top_ups import story as begin

START: Final = 1_767_323_045


class Timed(MemoryStore):
    """Each page of what is due takes longer than a whole deadline."""

    def __init__(self) -> None:
        """At the beginning of time."""
        self.now = 0.0
        super().__init__(Deadline(clock=lambda: self.now, sleep=lambda _: None))

    def due_top_ups(self, now_epoch: int, after: Any = None) -> Any:
        """Read one page, if there is time."""
        if next(self.deadline.attempts(), None) is None:
            raise NotDoneError("no time is left")
        self.now += 100
        return super().due_top_ups(now_epoch, after)


def _due(store: MemoryStore, names: list[str], moment: int = START) -> None:
    for number, name in enumerate(names):
        row = {"open": "top_up", "expires_at": moment - len(names) + number}
        store.commit(Write("quotas", (name, "top_up"), set=row))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_every_account_that_is_due_is_found_the_longest_due_first(count: int) -> None:
    """Two to a page here, and each page with a time of its own."""
    store = Timed()
    names = [f"user-{number}" for number in range(count)]
    _due(store, names)
    _due(store, ["later"], START + 3600)
    assert list(sweep.due(builders.books_on(store))) == names


def test_a_sweep_reads_twenty_pages_and_leaves_the_rest_to_the_next_one() -> None:
    """What it has hurried is due no more by then."""
    store = MemoryStore()
    names = [f"user-{number:02d}" for number in range(45)]
    _due(store, names)
    assert list(sweep.due(builders.books_on(store))) == names[:40]


def test_each_account_has_its_own_time() -> None:
    """One after another, each takes longer than a deadline is."""
    story = begin(MemoryStore())
    now = [0.0]
    story.books.store.deadline = Deadline(clock=lambda: now[0], sleep=lambda _: None)

    def go_on() -> bool:
        now[0] += 100
        return True

    assert sweep.run_all(story.job, ["bob", USER, "carol"], go_on) == {"done": 3}
    assert story.credited == 1


def test_a_sweep_that_is_told_to_stop_stops_for_good() -> None:
    """Though there would be time for those after."""
    story = begin(MemoryStore())
    left = iter([True, False, True, True])
    assert sweep.run_all(story.job, ["bob", USER, "carol"], lambda: next(left)) == {"done": 1}
    assert story.credited == 0


@pytest.mark.parametrize("state", ["asked", "processing"])
def test_a_charge_that_goes_on_after_a_dispute_is_no_decline(state: Any) -> None:
    """The pause was told with the dispute."""
    before = Agreement(
        user_id="alice", paused="disputed", charge=Charge(payment_id="pay_1", state="asked")
    )
    after = Agreement(
        user_id="alice", paused="disputed", charge=Charge(payment_id="pay_1", state=state)
    )
    assert list(told_by(before, after)) == []
