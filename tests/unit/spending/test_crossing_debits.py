"""Debits and holds that take an account over its thresholds: what they tell, open and cost."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from billing.account import alert
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.quota.key_use import NO_LIMIT, KeyUse, left, used
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.writes import Write
from support import builders, crossings
from support.builders import Clock, fact
from support.crossings import LOW_AT, USER, WHEN_BELOW, Charges, JudgedMemory, crossing_books, has
from support.fakes.memory_store import Meddled

Take = Callable[[Meter, int], object]
KEY = KeyUse("key_" + "0" * 24)
COUNTERS = {used(KEY.name): 0, left(KEY.name): NO_LIMIT}
TAKES: dict[str, Take] = {
    "a debit": lambda meter, units: debits.debit(meter, USER, units),
    "a keyed debit": lambda meter, units: debits.debit_once(meter, USER, units, "backend", "k"),
    "a debit of an API key": lambda meter, units: debits.debit(meter, USER, units, KEY),
    "a hold": lambda meter, units: placing.place(meter, USER, units, 600),
}
EACH_TAKES = pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)


@pytest.fixture
def store() -> JudgedMemory:
    """Every write is judged."""
    return JudgedMemory()


@EACH_TAKES
@pytest.mark.parametrize(
    ("remaining", "units", "told"),
    [
        (LOW_AT, 1, ["quota.low"]),
        (LOW_AT + 1, 1, []),
        (LOW_AT - 1, 1, []),
        (LOW_AT, LOW_AT, ["quota.low", "quota.depleted"]),
        (100, 100, ["quota.low", "quota.depleted"]),
        (1, 1, ["quota.depleted"]),
        (100, 1, []),
    ],
)
def test_whatever_takes_the_units_tells_what_it_crosses(
    store: JudgedMemory, take: Take, remaining: int, units: int, told: list[str]
) -> None:
    meter = has(crossing_books(store), remaining, **COUNTERS)
    take(meter, units)
    assert crossings.types(store) == told
    assert [event["sequence"] for event in crossings.events(store)] == list(range(1, len(told) + 1))


def test_the_event_shows_the_quota_as_the_debit_leaves_it(store: JudgedMemory) -> None:
    meter = has(crossing_books(store), 50)
    debits.debit(meter, USER, 10)
    (event,) = crossings.events(store)
    assert event["data"] == debits.read(meter.books, USER).shown(USER)
    assert event["data"]["remaining"] == 40


@EACH_TAKES
def test_a_refused_debit_crosses_nothing(store: JudgedMemory, take: Take) -> None:
    meter = has(crossing_books(store), 50, **COUNTERS)
    with pytest.raises(BillingError, match="51 units were asked for"):
        take(meter, 51)
    assert crossings.types(store) == []


def test_a_debit_that_crosses_nothing_is_one_write(store: JudgedMemory) -> None:
    """With the template's threshold, whether or not this container has seen the account."""
    meter = has(crossing_books(store), 100)
    store.requests.clear()
    debits.debit(meter, USER, 1)
    debits.debit(meter, USER, 1)
    assert store.requests == [("UpdateItem", 1)] * 2


def test_a_container_learns_a_customers_own_threshold_by_one_refusal(store: JudgedMemory) -> None:
    meter = has(crossing_books(store), 100)
    alert.change(meter.books, USER, 20)
    store.requests.clear()
    for _ in range(3):
        debits.debit(meter, USER, 1)
    assert store.requests == [("UpdateItem", 1)] * 4


def test_a_customers_own_threshold_counts_in_a_container_that_has_not_seen_it(
    store: JudgedMemory,
) -> None:
    """The template's is 45; this customer wants to hear at 90."""
    meter = has(crossing_books(store), 100)
    alert.change(meter.books, USER, 90)
    debits.debit(meter, USER, 11)
    assert crossings.types(store) == ["quota.low"]


def test_where_events_are_off_no_clause_is_added() -> None:
    store = JudgedMemory()
    books = replace(crossing_books(store), telling=builders.OFF)
    meter = has(books, 100)
    written: list[Write] = []
    before = store.update

    def update(write: Write) -> object:
        written.append(write)
        return before(write)

    store.update = update  # type: ignore[method-assign]
    debits.debit(meter, USER, 1)
    plain = ["remaining", "holds_due", "lots_due", "use_day"]
    assert [must.name for must in written[0].must] == plain


def test_a_container_that_saw_the_account_low_tells_after_it_was_filled_elsewhere(
    store: JudgedMemory,
) -> None:
    """Its memory is of before: that the floor is low enough is not all that it must demand."""
    meter = has(crossing_books(store), 40)
    debits.debit(meter, USER, 1)
    store.update(Write("quotas", (USER, "quota"), add={"remaining": 30, "total": 30}))
    debits.debit(meter, USER, 30)
    assert crossings.types(store) == ["quota.low"]


def test_a_holds_return_tells_nothing_and_arms_only_from_the_threshold_on(
    store: JudgedMemory, clock: Clock
) -> None:
    meter = has(crossing_books(store, clock), 50)
    first = placing.place(meter, USER, 10, 600)
    second = placing.place(meter, USER, 30, 600)
    closing.release(meter, first.hold_id)  # 20: it is low still
    debits.debit(meter, USER, 5)
    assert crossings.types(store) == ["quota.low"]
    closing.release(meter, second.hold_id)  # 45: not low any more
    assert crossings.types(store) == ["quota.low"]
    debits.debit(meter, USER, 1)
    assert crossings.types(store) == ["quota.low"] * 2


def test_a_hold_that_comes_back_in_the_same_write_is_counted_before_it_is_judged(
    store: JudgedMemory, clock: Clock
) -> None:
    """From 20 with a hold of 60 that has expired: 80 less 30 is no crossing."""
    meter = has(crossing_books(store, clock), 80)
    placing.place(meter, USER, 60, 10)
    clock.advance(seconds=11)
    debits.debit(meter, USER, 30)
    assert crossings.types(store) == ["quota.low"], "of the hold"
    debits.debit(meter, USER, 6)
    assert crossings.types(store) == ["quota.low"] * 2, "from 50 to 44"


def test_a_debit_crosses_from_what_an_expired_hold_has_lifted_swept_or_not(
    store: JudgedMemory, clock: Clock
) -> None:
    """20 and an expired hold of 80 are 100 for everybody who looks: a debit of 60 crosses again."""
    meter = has(crossing_books(store, clock, charges=Charges()), 100)
    placing.place(meter, USER, 80, 10)
    crossings.agree(meter.books)
    clock.advance(seconds=11)
    debits.debit(meter, USER, 80)
    assert crossings.types(store) == ["quota.low"] * 2
    assert len(crossings.opened(store)) == 1


def test_a_hold_that_comes_back_in_the_same_write_hides_no_crossing(
    store: JudgedMemory, clock: Clock
) -> None:
    """From 50 with an expired hold of 10, a debit of 20 leaves 40."""
    meter = has(crossing_books(store, clock), 60)
    placing.place(meter, USER, 10, 10)
    clock.advance(seconds=11)
    debits.debit(meter, USER, 20)
    assert crossings.types(store) == ["quota.low"]
    assert crossings.events(store)[0]["data"]["remaining"] == 40


def test_many_holds_come_back_in_one_write_that_crosses_everything(
    store: JudgedMemory, clock: Clock
) -> None:
    """Within DynamoDB's hundred: the twin refuses more."""
    meter = has(crossing_books(store, clock, charges=Charges()), 200)
    for _ in range(hold_expiry.EXPIRED_AT_ONCE):
        placing.place(meter, USER, 1, 10)
    crossings.agree(meter.books)
    clock.advance(seconds=11)
    placing.place(meter, USER, 200, 600)
    assert crossings.types(store) == ["quota.low", "quota.depleted"]
    assert len(crossings.opened(store)) == 1


@EACH_TAKES
def test_whatever_goes_below_when_below_opens_one_charge_and_hurries_it(
    store: JudgedMemory, take: Take
) -> None:
    charges = Charges()
    meter = has(crossing_books(store, charges=charges), WHEN_BELOW, **COUNTERS)
    crossings.agree(meter.books)
    take(meter, 1)
    found = crossings.agreement(store)
    assert found.charge is not None
    assert found.used == 1
    assert [row["payment_id"] for row in crossings.opened(store)] == [found.charge.payment_id]
    assert charges.hurried == [USER]
    debits.debit(meter, USER, 1)
    assert len(crossings.opened(store)) == 1


def test_a_holds_return_opens_no_charge(store: JudgedMemory, clock: Clock) -> None:
    """A debit that an expired hold's return outweighs opens none either, while it stays below."""
    meter = has(crossing_books(store, clock, charges=Charges()), 40)
    held = placing.place(meter, USER, 30, 600)
    placing.place(meter, USER, 5, 10)
    crossings.agree(meter.books)
    closing.release(meter, held.hold_id)
    debits.debit(meter, USER, 20)
    assert len(crossings.opened(store)) == 1
    store.tables["quotas"][USER, "top_up"].pop("charge_id")
    store.tables["quotas"][USER, "top_up"].pop("charge")
    clock.advance(seconds=11)
    debits.debit(meter, USER, 1)
    assert len(crossings.opened(store)) == 1


@pytest.mark.parametrize("terms", [{"on": False}, {"paused": "card_declined"}])
def test_an_agreement_that_allows_no_charge_is_asked_and_obeyed(
    store: JudgedMemory, terms: dict[str, object]
) -> None:
    charges = Charges()
    meter = has(crossing_books(store, charges=charges), 50)
    crossings.agree(meter.books)
    crossings.agree(meter.books, **terms)
    debits.debit(meter, USER, 30)
    assert crossings.opened(store) == []
    assert charges.hurried == []


def test_with_events_off_a_charge_is_opened_all_the_same() -> None:
    store = Meddled()
    books = replace(crossing_books(store, charges=Charges()), telling=builders.OFF)
    meter = has(books, 50)
    crossings.agree(books)
    debits.debit(meter, USER, 30)
    assert len(crossings.opened(store)) == 1
    assert crossings.events(store) == []


def test_a_price_that_has_changed_switches_off_and_tells_in_the_debits_write() -> None:
    store = Meddled()
    meter = has(crossing_books(store, charges=Charges()), 50)
    crossings.agree(meter.books, amount_minor=1)
    debits.debit(meter, USER, 30)
    assert crossings.types(store) == ["quota.low", "top_up.off"]
    assert [event["sequence"] for event in crossings.events(store)] == [1, 2]
    assert crossings.agreement(store).paused == "price_changed"
    assert crossings.opened(store) == []


def test_at_the_months_limit_the_sweep_looks_again_when_the_month_is_over() -> None:
    store = Meddled()
    meter = has(crossing_books(store, charges=Charges()), 50)
    crossings.agree(meter.books, max_per_month=1, used=1, month="2026-01")
    debits.debit(meter, USER, 30)
    assert crossings.opened(store) == []
    assert crossings.agreement(store).due == 1769904000  # the first of February


def test_an_agreement_that_is_made_while_a_debit_crosses_is_not_missed() -> None:
    """The debit read that it is paused. Its write is refused, and it opens the charge."""
    store = Meddled()
    meter = has(crossing_books(store, charges=Charges()), 50)
    crossings.agree(meter.books, paused="card_declined", due=0)
    debits.debit(meter, USER, 1)
    read = store.get

    def get(table: str, key: tuple[str, str]) -> object:
        found = read(table, key)  # type: ignore[arg-type]
        if key == (USER, "top_up"):
            store.get = read  # type: ignore[method-assign]
            crossings.agree(meter.books)
        return found

    store.get = get  # type: ignore[method-assign,assignment]
    debits.debit(meter, USER, 30)
    assert len(crossings.opened(store)) == 1


def test_a_refund_that_takes_an_account_below_opens_a_charge() -> None:
    store = Meddled()
    books = crossing_books(store, charges=Charges())
    payment = builders.pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    crossings.agree(books)
    settlement.apply(books, fact(builders.refunded(payment, payment.amount_minor)))
    assert crossings.agreement(store).charge is not None
    assert len(crossings.opened(store)) == 1


def test_a_refund_of_an_automatic_payment_opens_none_because_it_switches_off() -> None:
    """Both would write the agreement, and DynamoDB refuses two writes of one row."""
    store = Meddled()
    books = crossing_books(store, charges=Charges())
    payment = builders.automatic(books)
    settlement.apply(books, fact(builders.intent_event(payment)))
    crossings.agree(books)
    paid = replace(payment, session_id="")
    settlement.apply(books, fact(builders.refunded(paid, payment.amount_minor)))
    assert crossings.agreement(store).paused == "refunded"
    assert crossings.agreement(store).charge is None
    assert "top_up.off" in crossings.types(store)


class Busy(JudgedMemory):
    """Another container debits one unit before each of the next transactions."""

    before: Callable[[], object] | None = None
    times = 0

    def commit(self, *writes: Write) -> None:
        """Meddle, then commit."""
        if self.before and self.times:
            self.times -= 1
            self.before()
        super().commit(*writes)


@pytest.mark.parametrize("times", [1, 2, 3, 10])
@pytest.mark.parametrize("take", [TAKES["a debit"], TAKES["a keyed debit"], TAKES["a hold"]])
def test_a_large_debit_of_a_busy_account_crosses_once_and_is_not_kept_waiting(
    take: Take, times: int
) -> None:
    """After two refusals it demands only that the same is crossed; the figures are a moment old."""
    store = Busy()
    meter = has(crossing_books(store), 200)
    debits.debit(meter, USER, 1)
    store.before, store.times = lambda: debits.debit(meter, USER, 1), times
    take(meter, 160)
    assert crossings.types(store) == ["quota.low"]
    assert store.judge.inexact == int(times > 2)
    assert crossings.balance(store).remaining == 39 - min(times, 3)
