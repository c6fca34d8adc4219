import logging
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import reconcile
from billing.clock import epoch
from billing.errors import AwsRefusedError, BillingError, Item, OutcomeUnknownError, SettingsError
from billing.payments.payment import Payment
from billing.reconciliation.job import CURSORS, LAST
from billing.reconciliation.pages import FAILED_IN_A_ROW_MAX
from billing.reconciliation.report import SHOWN_MAX
from billing.spending import debits
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from billing.telemetry import metrics
from reconcile import IncompleteReconciliationError
from repo.declared import functions
from support import builders, laws
from support.builders import Clock, pending
from support.fakes.stripe_twin import Stripe
from support.slow import Context, Slow

TIMEOUT_SECONDS: Final = int(functions()["ReconcileFunction"]["Timeout"])
UNKNOWN: Final = OutcomeUnknownError("injected")
REFUSED: Final = BillingError(
    "stripe_unavailable", "Stripe refused the request (more_permissions_required)"
)


@dataclass
class Reconciliation:
    """The handler on a store and a Stripe of the test's.

    ``counted``: every figure that left, by name.
    """

    patch: pytest.MonkeyPatch
    store: Slow = field(default_factory=Slow)
    clock: Clock = field(default_factory=Clock)
    stripe: Stripe = field(default_factory=Stripe)
    counted: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Instead of those that the environment names."""
        self.stripe.rows_a_page = 100
        self.books = builders.books_on(self.store, clock=self.clock)
        for name, found in (
            ("books", self.books),
            ("deadline", self.store.deadline),
            ("gateway", self.stripe),
        ):
            self.patch.setattr(reconcile, name, lambda found=found: found)
        self.patch.setattr(
            metrics,
            "add_metric",
            lambda name, value, **_: self.counted.setdefault(name, []).append(value),
        )

    def run(self) -> dict[str, Any]:
        """As the schedule calls it; Lambda lets it live to its timeout."""
        context = Context(self.store, TIMEOUT_SECONDS)
        try:
            return reconcile.handler({}, context)
        finally:
            context.get_remaining_time_in_millis()

    def fail(self) -> IncompleteReconciliationError:
        """The same, where it must end so that ReconcileErrorsAlarm fires."""
        with pytest.raises(IncompleteReconciliationError) as ended:
            self.run()
        return ended.value

    def sell(self, *users: str) -> list[Payment]:
        """Paid, and every webhook of it lost; the last is the first that Stripe lists."""
        self.store.deadline.begin()
        sold = [pending(self.books, user_id) for user_id in users]
        for payment in sold:
            self.stripe.sell(payment, epoch(self.clock()))
        return sold

    def refuse(self, name: str, error: Exception, after: str | None = None) -> None:
        """One of Stripe's lists from now on, or one page of it."""
        lister = getattr(self.stripe, name)

        def refused(since: int, place: str = "") -> dict[str, Any]:
            if after in (None, place):
                raise error
            page: dict[str, Any] = lister(since, place)
            return page

        setattr(self.stripe, name, refused)

    def accept(self, name: str) -> None:
        """The list again."""
        delattr(self.stripe, name)

    def kept(self, key: tuple[str, str]) -> Item | None:
        """A row of reconciliation's own."""
        return self.store.tables["events"].get(key)

    def units(self, *users: str) -> list[int]:
        """What remains, each."""
        self.store.deadline.begin()
        laws.check(self.store)
        return [debits.read(self.books, user_id).remaining for user_id in users]


@pytest.fixture
def reconciliation(monkeypatch: pytest.MonkeyPatch) -> Reconciliation:
    """Nothing is slow, and nothing fails at first."""
    return Reconciliation(monkeypatch)


@pytest.mark.parametrize(
    "fault", [UNKNOWN, AwsRefusedError("injected"), KeyError("an internal error")], ids=repr
)
def test_a_row_that_fails_keeps_no_other_from_being_credited(
    reconciliation: Reconciliation, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, the function's errors count it, and the next run looks at it again."""
    _, hot, _ = reconciliation.sell("bob", "hot", "carol")
    reconciliation.store.fault_of = {"hot": fault}
    with caplog.at_level(logging.ERROR):
        ended = reconciliation.fail()
    assert str(ended).startswith("1 not compared: ")
    assert hot.session_id in str(ended)
    assert [vars(record)["what"] for record in caplog.records if record.exc_info] == [
        hot.session_id
    ]
    assert reconciliation.counted["reconcile_differences"] == [2], "what failed is no difference"
    reconciliation.store.fault_of = {}
    assert reconciliation.run()["counts"] == {"missing_here": 1}
    assert reconciliation.units("bob", "hot", "carol") == [100, 100, 100]


def test_a_row_that_always_fails_starves_no_other(reconciliation: Reconciliation) -> None:
    """What is sold on later days is credited, and what was sold before."""
    reconciliation.sell("bob", "hot")
    reconciliation.store.fault_of = {"hot": UNKNOWN}
    for day in range(3):
        reconciliation.sell(f"buyer{day}")
        reconciliation.clock.advance(days=1)
        reconciliation.fail()
    assert reconciliation.units("bob", "buyer0", "buyer1", "buyer2") == [100] * 4


@pytest.mark.parametrize("name", ["sessions", "refunds", "disputes"])
@pytest.mark.parametrize(
    "error", [REFUSED, StripeServerError("500"), StripeNotFoundError("no such object")], ids=repr
)
def test_a_list_that_stripe_refuses_keeps_no_other_from_being_read(
    reconciliation: Reconciliation, name: str, error: Exception
) -> None:
    """A restricted key without one right, say.

    All others are read in each run, and that one as soon as it can be.
    """
    refunded, disputed = reconciliation.sell("refunded", "disputed")
    reconciliation.run()
    reconciliation.stripe.refund(refunded, "re_1", 999)
    reconciliation.stripe.dispute(
        builders.dispute(disputed, "funds_withdrawn", "needs_response", -999)
    )
    del reconciliation.store.tables["events"][LAST]
    reconciliation.sell("late")
    reconciliation.refuse(name, error)
    for _ in range(2):
        assert f"the list {name!r} was not compared" in str(reconciliation.fail())
        assert reconciliation.kept(CURSORS[True]) is None, "nothing is to be gone on with"
    assert reconciliation.kept(LAST) is None, "a run without that list has not come to its end"
    missed = {"sessions": "late", "refunds": "refunded", "disputes": "disputed"}[name]
    after = {"late": 100, "refunded": 0, "disputed": 0}
    assert reconciliation.units(*after) == [
        100 - units if user_id == missed else units for user_id, units in after.items()
    ]
    reconciliation.accept(name)
    assert reconciliation.run()["finished"]
    assert reconciliation.units(*after) == [100, 0, 0]


def test_a_list_of_ours_that_dynamodb_refuses_is_reported(reconciliation: Reconciliation) -> None:
    """A missing grant on the index: everything that Stripe lists is settled all the same."""
    reconciliation.sell("bob")
    reconciliation.store.fault_of = {"unseen": AwsRefusedError("injected")}
    assert "the list 'ours' was not compared" in str(reconciliation.fail())
    assert reconciliation.units("bob") == [100]


def test_a_list_with_a_failed_page_is_restarted_by_the_next_run(
    reconciliation: Reconciliation,
) -> None:
    """Its place may be what Stripe refuses: one that was kept would be refused by every later run
    too.
    """
    reconciliation.stripe.rows_a_page = 1
    payments = reconciliation.sell("bob", "carol", "dave")
    reconciliation.refuse("sessions", REFUSED, after=payments[1].session_id)
    reconciliation.fail()
    assert reconciliation.units("bob", "carol", "dave") == [0, 100, 100]
    reconciliation.sell("erin")
    reconciliation.fail()
    assert reconciliation.units("bob", "erin") == [0, 100]
    reconciliation.accept("sessions")
    assert reconciliation.run()["finished"]
    assert reconciliation.units("bob") == [100]


def test_what_failed_is_named_however_much_differs(reconciliation: Reconciliation) -> None:
    """After an outage of the webhook more is missing than a report shows."""
    reconciliation.sell(*["bob"] * (SHOWN_MAX + 1))
    reconciliation.refuse("disputes", REFUSED)
    assert "the list 'disputes' was not compared" in str(reconciliation.fail())


def test_many_failures_in_a_row_end_the_run_and_the_next_goes_on_behind_them(
    reconciliation: Reconciliation,
) -> None:
    """A run does not try thousands of rows while DynamoDB is down; and one customer's many
    purchases are passed in the end.
    """
    reconciliation.sell("carol", *["hot"] * (2 * FAILED_IN_A_ROW_MAX + 1))
    reconciliation.store.fault_of = {"hot": UNKNOWN}
    failed = [int(str(reconciliation.fail()).partition(" ")[0]) for _ in range(2)]
    assert failed == [FAILED_IN_A_ROW_MAX] * 2
    assert reconciliation.units("carol") == [0]
    reconciliation.fail()
    assert reconciliation.units("carol") == [100]


def test_failures_with_others_between_them_do_not_end_the_run(
    reconciliation: Reconciliation,
) -> None:
    """They are of some accounts, and not of DynamoDB."""
    reconciliation.sell("carol", *["hot", "bob"] * FAILED_IN_A_ROW_MAX, "hot")
    reconciliation.store.fault_of = {"hot": UNKNOWN}
    assert str(reconciliation.fail()).startswith(f"{FAILED_IN_A_ROW_MAX + 1} not compared")
    assert reconciliation.units("carol", "bob") == [100, 100 * FAILED_IN_A_ROW_MAX]


@pytest.mark.parametrize("seconds", [1, 11])
def test_a_run_of_rows_that_fail_ends_in_time(reconciliation: Reconciliation, seconds: int) -> None:
    """Every call takes its time, half of the accounts fail or all: the function is not killed, and
    the next runs do what is left.
    """
    users = [f"user{number}" for number in range(90)]
    reconciliation.sell(*(name for user_id in users for name in (user_id, "hot")))
    reconciliation.store.fault_of = {"hot": UNKNOWN}
    reconciliation.store.seconds = seconds
    reconciliation.fail()
    reconciliation.store.seconds = 0
    assert reconciliation.units(users[0]) == [0], "there was no time for all"
    reconciliation.fail()
    assert reconciliation.units(*users) == [100] * 90


def test_a_run_that_could_compare_nothing_counts_for_none(reconciliation: Reconciliation) -> None:
    """Otherwise ReconcileMissingAlarm would count a run each hour, although nothing is compared."""
    for name in ("sessions", "refunds", "disputes"):
        reconciliation.refuse(name, REFUSED)
    assert str(reconciliation.fail()).startswith("3 not compared")
    assert reconciliation.counted == {}


def test_a_missing_setting_is_no_rows_trouble(reconciliation: Reconciliation) -> None:
    """Nothing can be done without it: the run ends with what is missing, and goes on there next
    time.
    """
    reconciliation.refuse("refunds", SettingsError("the secret with Stripe's key is blank"))
    with pytest.raises(SettingsError):
        reconciliation.run()
