"""Stories of automatic top-ups: an account, its agreement, and a Stripe that keeps its cards."""

from dataclasses import dataclass, field, replace
from typing import Any

from billing.agreements import rows
from billing.agreements.agreement import Agreement
from billing.agreements.card import Card
from billing.agreements.months import month_of
from billing.agreements.rows import change, watch
from billing.books import Books
from billing.charging.asking import Asker
from billing.clock import stamp
from billing.payments.payment import Payment, Phase
from billing.payments.plans import catalogue
from billing.reconciliation import adopting
from billing.reconciliation import run as reconciliation
from billing.reconciliation.job import Run
from billing.settings import Telling
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.writes import creates
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from billing.top_up import runner
from billing.top_up.job import Job
from support import builders, laws
from support.fakes.card_twin import CardTwin

USER = "alice"
CARD = Card("pm_1", "visa", "4242", 12, 2034, "print")
MAX_PER_MONTH = 3
WHEN_BELOW = 50


@dataclass
class Story:
    """One account with an agreement, empty unless ``units`` came in before."""

    books: Books
    stripe: CardTwin
    troubles: list[Exception] = field(default_factory=list)

    @property
    def job(self) -> Job:
        """What a run works with."""
        asker = Asker(self.stripe, self.books.ours, builders.STACK)
        return Job(self.books, asker, lambda _, why: self.troubles.append(why), self._find_lost)

    def _find_lost(self, user_id: str, customer: str) -> bool:
        gateway: Any = self.stripe
        return adopting.find_lost(self.books, gateway, self.stripe, user_id, customer)

    @property
    def agreement(self) -> Agreement:
        """As it is stored."""
        return rows.read(self.books, USER)

    def agree(self, **members: Any) -> None:
        """What PUT writes, and the row is due at once."""
        before = self.agreement
        plan = catalogue()["starter"]
        after = replace(
            before,
            on=True,
            plan=plan.id,
            quota=plan.quota,
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            when_below=WHEN_BELOW,
            max_per_month=MAX_PER_MONTH,
            agreed_at=stamp(self.books.clock()),
            customer="cus_1",
            card=CARD,
            paused="",
            due=before.due or int(self.books.clock().timestamp()),
        )
        self._write(before, replace(after, **members))

    def switch_off(self) -> None:
        """What DELETE writes."""
        before = self.agreement
        self._write(before, replace(before, on=False))

    def _write(self, before: Agreement, after: Agreement) -> None:
        self.books.store.commit(change(before, after), watch(after))

    def units(self, units: int) -> None:
        """Units that a checkout brought."""
        payment = builders.pending(self.books, USER, "starter")
        self.settle(builders.completed(payment))
        if spent := catalogue()["starter"].quota - units:
            self.spend(spent)

    def spend(self, units: int) -> None:
        """A debit."""
        debits.debit(Meter(self.books, ""), USER, units)

    def run(self) -> Agreement:
        """The sweep, or the message."""
        done = self.run_only()
        self.check()
        return done

    def run_only(self) -> Agreement:
        """The same, with nothing checked."""
        self.books.store.deadline.begin()
        return runner.run(self.job, USER)

    def begin(self) -> None:
        """The account has nothing, and has agreed."""
        empty = {"remaining": 0, "used": 0, "total": 0}
        self.books.store.commit(creates("quotas", (USER, "quota"), empty))
        self.agree()

    def settle(self, event: dict[str, Any]) -> str:
        """An event of Stripe's. "ignored" for one that is not of interest."""
        self.books.store.deadline.begin()
        fact = parse(event, self.books.ours)
        if isinstance(fact, Ignored):
            return "ignored"
        return settlement.apply(self.books, fact).status

    def deliver(self) -> None:
        """All of Stripe's events, once."""
        events, self.stripe.events = self.stripe.events, []
        for event in events:
            self.settle(event)

    def reconcile(self) -> None:
        """With everything of the last month."""
        since = int(self.books.clock().timestamp()) - 40 * 24 * 3600
        reconciliation.run(
            Run(
                self.books,
                self.stripe,  # type: ignore[arg-type]
                repair=True,
            ),
            since,
        )

    def advance(self, **duration: int) -> None:
        """Time passes."""
        self.books.clock.advance(**duration)  # type: ignore[attr-defined]

    @property
    def payments(self) -> list[Payment]:
        """Automatic ones, oldest first."""
        rows = self.books.store.pages("payments", user_key(USER), "pay_")
        return [found for item in rows if not (found := Payment.from_item(item)).session_id]

    @property
    def credited(self) -> int:
        """How many automatic charges are credited."""
        return sum(payment.phase is Phase.PAID for payment in self.payments)

    @property
    def remaining(self) -> int:
        """Units left."""
        return debits.read(self.books, USER).remaining

    def check(self) -> None:
        """What holds at every moment."""
        laws.check(getattr(self.books.store, "memory", self.books.store))
        self.check_charges()

    def check_charges(self) -> None:
        """No second charge of one payment, none without a row, none above the month's limit."""
        charged, known = self.stripe.succeeded, {row.payment_id: row for row in self.payments}
        assert len(set(charged)) == len(charged), f"charged twice: {charged}"
        assert set(charged) <= set(known), "charged without a row"
        months = [known[name].created_at[:7] for name in charged]
        most = max((months.count(month) for month in months), default=0)
        assert most <= MAX_PER_MONTH, f"{most} charges in one month"
        paid = {name for name, row in known.items() if row.phase is Phase.PAID}
        assert paid <= set(charged), "credited without a charge"

    def month(self) -> str:
        """This one."""
        return month_of(self.books.clock())


def story(store: Any, telling: Telling = Telling()) -> Story:  # noqa: B008 - frozen
    """An account that has agreed, with nothing left."""
    clock = builders.Clock()
    books = replace(builders.books_on(store, clock=clock), telling=telling)
    made = Story(books, CardTwin(clock))
    made.begin()
    return made
