"""Where a run of reconciliation stops, and how it reports what failed."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import pytest
from billing.errors import AwsRefusedError, BillingError, SettingsError
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Difference, Report
from support import builders
from support.builders import pending
from support.compared import AT, World, whole

TO_A_BUYER: Final = ". Nothing was charged; please try again."


@pytest.fixture
def world() -> World:
    """Nothing was sold."""
    return World()


def _run(world: World, since: int = 0, **bounds: Any) -> Report:
    stripe: Any = world.stripe
    return run.run(Run(world.books, stripe, **{"repair": True, **bounds}), since)


def _times(count: int) -> Callable[[], bool]:
    """So often there is time."""
    left = iter([True] * count)
    return lambda: next(left, False)


def _cursor(world: World) -> dict[str, Any]:
    return world.store.tables["events"].get(("reconcile", "cursor"), {})


def test_a_run_that_has_no_time_for_a_first_row_begins_with_it_next_time(world: World) -> None:
    """The page was read in vain."""
    for _ in range(2):
        world.buy(paid=False)
    report = _run(world, has_time=_times(1))
    assert report.as_answer() == whole(finished=False)
    assert _cursor(world)["after"] == ""
    assert _run(world).repaired == 2


def test_a_run_that_has_no_time_for_a_first_row_of_ours_begins_with_it_next_time(
    world: World,
) -> None:
    """The four lists of Stripe's are empty."""
    world.buy()
    world.stripe.sold[0]["created"] = 1
    report = _run(world, AT, has_time=_times(5))
    assert report.as_answer() == whole(finished=False)
    assert (_cursor(world)["phase"], _cursor(world)["after"]) == ("ours", "")
    assert _run(world, AT).as_answer() == whole()
    assert len(world.stripe.asked_for) == 1


def test_a_run_goes_on_behind_the_last_row_of_ours_that_it_looked_at(world: World) -> None:
    """Three; one is looked at in each run, once."""
    paid = [world.buy() for _ in range(3)]
    for row in world.stripe.sold:
        row["created"] = 1
    world.store.marked_a_page = 10
    for number in range(3):
        lists = 5 if number == 0 else 1
        _run(world, AT, repair=False, has_time=_times(lists + 1))
    assert sorted(world.stripe.asked_for) == sorted(payment.session_id for payment in paid)


def test_a_place_that_an_older_version_kept_otherwise_is_no_place(world: World) -> None:
    """The run starts over."""
    world.buy(paid=False)
    place = {"owner": "reconcile", "id": "cursor", "since": 5}
    world.store.tables["events"]["reconcile", "cursor"] = place
    assert _run(world).repaired == 1


def test_the_place_of_a_stopped_run_is_kept_whole(world: World) -> None:
    """And is gone when the next run is done, which starts again after it."""
    world.stripe.rows_a_page = 1
    sold = [world.buy(paid=False) for _ in range(2)]
    _run(world, 17, go_on=_times(1))
    kept = {"since": 17, "phase": "sessions", "after": sold[1].session_id}
    assert {name: _cursor(world)[name] for name in kept} == kept
    _run(world, 18)
    assert _cursor(world) == {}
    last = world.store.tables["events"]["reconcile", "last"]
    assert last["finished_at"].startswith("2026-01-02T03:04:05")
    assert (last["counts"], last["matched"]) == ({"missing_here": 1}, 2)


@pytest.mark.parametrize("name", ["sessions", "payment_intents", "refunds", "disputes"])
def test_a_list_that_fails_is_named_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What follows it is compared, and the buyer's part of Stripe's words is left out."""
    world.buy()

    def fails(*_: object) -> dict[str, Any]:
        raise BillingError("stripe_unavailable", f"Stripe did not answer{TO_A_BUYER}")

    monkeypatch.setattr(world.stripe, name, fails)
    shown = name.removeprefix("payment_")
    names: list[str] = []
    report = _run(world, failed=names.append)
    said = f"the list '{shown}' was not compared: BillingError: stripe_unavailable: "
    said += "Stripe did not answer"
    row = ("failed", "", "", said, False)
    matched = int(name != "sessions")
    assert report.as_answer() == whole(row, matched=matched, finished=False, unlisted=[shown])
    assert names == [f"the list '{shown}'"]


def test_a_row_that_fails_is_named_by_stripes_id_or_by_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever list it is of. Those before and after it are compared."""
    three = [world.buy(paid=False) for _ in range(3)]
    odd = three[1]
    old = world.buy()
    world.stripe.sold[0]["created"] = 1
    get = world.store.get

    def fails(table: Any, key: tuple[str, str]) -> Any:
        if key[1] == odd.payment_id:
            raise AwsRefusedError("no grant")
        return get(table, key)

    def asks(name: str) -> dict[str, Any]:
        raise KeyError(name)

    monkeypatch.setattr(world.store, "get", fails)
    monkeypatch.setattr(world.stripe, "purchase", asks)
    names: list[str] = []
    report = _run(world, AT, failed=names.append).as_answer()
    failed = [row for row in report["differences"] if row["kind"] == "failed"]
    assert failed == [
        {
            "kind": "failed",
            "stripe_id": odd.session_id,
            "payment_id": "",
            "detail": f"{odd.session_id} was not compared: AwsRefusedError: no grant",
            "repaired": False,
        },
        {
            "kind": "failed",
            "stripe_id": "",
            "payment_id": old.payment_id,
            "detail": f"{old.payment_id} was not compared: KeyError: '{old.session_id}'",
            "repaired": False,
        },
    ]
    assert names == [odd.session_id, old.payment_id]
    assert (report["repaired"], report["finished"]) == (2, True)


@pytest.mark.parametrize("name", ["refunds_of", "purchase"])
def test_a_missing_setting_ends_a_run_within_a_row_too(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing can be compared without it."""
    paid = world.buy()
    world.stripe.sold[0]["created"] = 1
    world.stripe.refund(paid, "re_1", 500)

    def fails(_: str) -> dict[str, Any]:
        raise SettingsError("the secret with Stripe's key is blank")

    monkeypatch.setattr(world.stripe, name, fails)
    with pytest.raises(SettingsError):
        _run(world, AT)


def test_a_report_shows_a_hundred_of_each_kind_and_counts_all() -> None:
    """The first of them."""
    report = Report()
    for number in range(101):
        report.add(Difference("status", f"cs_{number}", "pay", "", repaired=number % 2 == 0))
        report.add(Difference("failed", f"cs_{number}", "pay", ""))
    report.add(Difference("amount", "cs_last", "pay", ""))
    shown = [row.stripe_id for row in report.differences if row.kind == "status"]
    assert shown == [f"cs_{number}" for number in range(100)]
    assert report.counts == {"status": 101, "failed": 101, "amount": 1}
    assert (len(report.differences), report.repaired) == (201, 51)
    assert (report.failed, report.differing, report.compared) == (101, 102, 102)
    assert asdict(report.differences[1]) == {
        "kind": "failed",
        "stripe_id": "cs_0",
        "payment_id": "pay",
        "detail": "",
        "repaired": False,
    }


def test_rows_are_compared_if_they_agree_differ_are_strangers_or_dropped() -> None:
    """What failed is not."""
    report = Report(matched=1, not_ours=2, dropped=4, counts={"status": 8, "failed": 16})
    assert report.compared == 15


def test_a_run_that_resumes_notes_that_it_has_finished_and_another_does_not(world: World) -> None:
    for bounds in ({"resumes": False}, {"repair": False}):
        assert _run(world, **bounds).finished
        assert ("reconcile", "last") not in world.store.tables["events"]
    assert _run(world).finished
    assert ("reconcile", "last") in world.store.tables["events"]


def test_purchases_of_every_age_are_listed_from_the_same_second(world: World) -> None:
    """Sessions and charges: none of either is older than the run's own beginning."""
    for at in (AT - 1, AT):
        world.stripe.sell(pending(world.books), at)
        charge = builders.automatic(world.books)
        world.stripe.charged.insert(0, builders.intent(charge, created=at))
    assert _run(world, AT).repaired == 2
