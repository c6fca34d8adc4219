"""What reconciliation logs, counts and answers, to the last member."""

import logging
from types import SimpleNamespace
from typing import Any, Final

import pytest
import reconcile
from billing.errors import BillingError, StripeRefusedError
from billing.settlement import settlement
from billing.telemetry import logger
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.stripe_twin import Stripe
from support.lines import lines, printed
from support.slow import Recovery, Slow

REFUSAL: Final = {"code": "api_key_expired", "request_id": "req_1"}


class Hourly:
    """The handler of reconciliation on books and a Stripe of the test's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Nothing was sold."""
        self.store, self.stripe = Slow(), Stripe()
        self.stripe.rows_a_page = 100
        self.books = builders.books_on(self.store, clock=Clock())
        patch.setattr(reconcile, "books", lambda: self.books)
        patch.setattr(reconcile, "gateway", lambda: self.stripe)
        patch.setattr(reconcile, "deadline", lambda: self.store.deadline)

    def run(self, event: dict[str, Any] | None = None, context: object = None) -> dict[str, Any]:
        """As the schedule does, or an operator."""
        return reconcile.handler(event or {}, context)


@pytest.fixture
def hourly(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Hourly:
    """Every line is kept."""
    caplog.set_level(logging.INFO)
    return Hourly(monkeypatch)


def test_a_run_of_reconciliation_has_one_line_one_figure_and_a_whole_answer(
    hourly: Hourly, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        payment = pending(hourly.books)
        hourly.stripe.sell(payment, 1767323045)
        if number:
            settlement.apply(hourly.books, fact(builders.completed(payment)))
    answer = hourly.run()
    members = {"matched": 2, "repaired": 1, "finished": True, "counts": {"missing_here": 1}}
    assert lines(caplog) == [{"level": "INFO", "message": "reconciled", **members}]
    assert {name: answer[name] for name in members} == members
    (shown,) = printed(capsys)
    assert shown["reconcile_differences"] == [1.0]


def test_a_dry_run_repairs_nothing(hourly: Hourly) -> None:
    """As the operator's input says; without it a run repairs."""
    hourly.stripe.sell(pending(hourly.books), 1767323045)
    dry = hourly.run({"repair": False})
    assert (dry["repaired"], dry["counts"]) == (0, {"missing_here": 1})
    assert hourly.run()["repaired"] == 1


@pytest.mark.parametrize("seconds_older", [0, 1])
@pytest.mark.parametrize(
    ("event", "hours_set", "hours"),
    [
        ({}, None, 720),
        ({"since_hours": 24}, "48", 24),
        ({}, "48", 48),
        ({"since_hours": "3"}, "", 3),
    ],
)
def test_a_run_looks_back_as_far_as_it_is_told(  # noqa: PLR0917
    hourly: Hourly,
    monkeypatch: pytest.MonkeyPatch,
    event: dict[str, Any],
    hours_set: str | None,
    hours: int,
    seconds_older: int,
) -> None:
    """To the second; 30 days unless the template or the operator says otherwise."""
    if hours_set:
        monkeypatch.setenv("RECONCILE_HOURS", hours_set)
    else:
        monkeypatch.delenv("RECONCILE_HOURS", raising=False)
    made_at = 1767323045 - hours * 3600 - seconds_older
    hourly.stripe.sell(pending(hourly.books), made_at)
    assert hourly.run(event)["repaired"] == 1 - seconds_older


@pytest.mark.parametrize(("sessions", "finished"), [(996, True), (997, False)])
def test_a_run_reads_a_thousand_pages(
    hourly: Hourly, monkeypatch: pytest.MonkeyPatch, sessions: int, *, finished: bool
) -> None:
    """One of each of the four other lists comes after the sessions'."""
    row = builders.session(pending(hourly.books), metadata={}, created=1767323045)

    def page(_: int, after: str = "") -> dict[str, Any]:
        number = int(after or 0) + 1
        return {"data": [{**row, "id": str(number)}], "has_more": number < sessions}

    monkeypatch.setattr(hourly.stripe, "sessions", page)
    assert hourly.run()["finished"] is finished


def test_what_was_not_compared_is_named_up_to_five_times(
    hourly: Hourly, caplog: pytest.LogCaptureFixture
) -> None:
    """With the whole number; what differs is not among it."""
    for number in range(7):
        members = {"amount_total": None} if number else {"currency": "eur"}
        hourly.stripe.sell(pending(hourly.books, session_id=f"cs_{number}"), 1767323045, **members)
    with pytest.raises(reconcile.IncompleteReconciliationError) as ended:
        hourly.run()
    why = "this session cannot be read: a member is missing or of another type than documented"
    named = "; ".join(f"cs_{number} {why}" for number in (6, 5, 4, 3, 2))
    assert str(ended.value) == f"6 not compared: {named}"
    assert [line["message"] for line in lines(caplog)] == ["reconciled"]


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (
            StripeRefusedError(REFUSAL),
            [{"level": "ERROR", "message": "stripe refused", "stripe": REFUSAL}],
        ),
        (BillingError("stripe_unavailable", "no answer"), []),
    ],
)
def test_a_list_that_cannot_be_read_is_named_in_a_line(  # noqa: PLR0917
    hourly: Hourly,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    more: list[dict[str, Any]],
) -> None:
    """And counted where Stripe refuses for good."""

    def refunds(*_: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(hourly.stripe, "refunds", refunds)
    with pytest.raises(reconcile.IncompleteReconciliationError):
        hourly.run()
    what = {"what": "the list 'refunds'"}
    first = {"level": "ERROR", "message": "not compared", **what, "traceback": True}
    assert lines(caplog)[:-1] == [first, *({**line, **what} for line in more)]
    assert [row.get("stripe_refused") for row in printed(capsys)] == [[1.0]] * len(more)


@pytest.mark.parametrize("handler", ["recovery", "reconciliation"])
def test_every_line_has_the_id_of_its_invocation(
    hourly: Hourly, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    """Of this one, and not of the last one in the container."""
    at_work = Recovery(monkeypatch)
    for name in ("first", "second"):
        context = SimpleNamespace(aws_request_id=name, get_remaining_time_in_millis=lambda: 300_000)
        if handler == "recovery":
            monkeypatch.setattr("support.slow.Context", lambda *_, given=context: given)
            at_work.run()
        else:
            hourly.run(context=context)
        assert logger.get_current_keys()["request_id"] == name


def test_a_run_begins_its_own_deadline(hourly: Hourly) -> None:
    """However long its container has waited."""
    hourly.stripe.sell(pending(hourly.books), 1767323045)
    hourly.store.now += 1000
    assert hourly.run()["repaired"] == 1
