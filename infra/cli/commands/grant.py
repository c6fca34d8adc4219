"""``topup grant``: units given or taken back by a person, as one ledger entry, under an id that makes it happen once."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError, RetryableError
from billing.ids import new_id
from billing.money import UNITS_MAX
from billing.quota import hold_expiry
from billing.quota.balance import Balance, Movement, come_in, go_out
from billing.quota.ledger import Entry
from billing.storage.writes import Write

from infra.cli.command import DryRun, Operator, Yes, command
from infra.cli.errors import OperatorError, check_user, not_found, unreachable, usage
from infra.cli.output import facts

REASON_CHARS_MAX: Final = 500
ID_CHARS_MAX: Final = 100
CONFLICT: Final = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """What is to be booked. ``units`` is signed."""

    grant_id: str
    user_id: str
    units: int
    reason: str

    @property
    def entry_id(self) -> str:
        """The ledger's key: one grant is booked once only, for ever."""
        return f"grant:{self.grant_id}"

    def entry(self, now: str) -> Entry:
        """The line in the ledger; customers see the grant's id, not the reason."""
        return Entry(
            self.user_id,
            self.entry_id,
            "adjusted",
            self.units,
            "grant",
            self.grant_id,
            now,
            note=self.reason,
        )

    def check(self) -> None:
        """Raise OperatorError for what makes no sense."""
        if not self.units or abs(self.units) > UNITS_MAX:
            raise usage(
                f"{self.units} units cannot be granted",
                f"give a whole number from 1 to {UNITS_MAX}, or a negative one",
            )
        if not self.reason.strip() or len(self.reason) > REASON_CHARS_MAX:
            raise usage(
                "a grant needs a reason",
                f"--reason with 1 to {REASON_CHARS_MAX} characters, for those who read the ledger later",
            )
        if not 0 < len(self.grant_id) <= ID_CHARS_MAX or not self.grant_id.isprintable():
            raise usage(
                f"{self.grant_id!r} is no id",
                f"--id takes 1 to {ID_CHARS_MAX} printable characters",
            )
        check_user(self.user_id)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "grant", takes_negatives=True)
    def grant(  # noqa: PLR0917 - the command line's own arguments
        operator: Operator,
        user: Annotated[str, typer.Argument(help="The user id: the token's sub.")],
        units: Annotated[int, typer.Argument(help="How many; negative to take units back.")],
        reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")],
        grant_id: Annotated[
            str,
            typer.Option(
                "--id", help="Your own id for it, as a ticket's number: a repeat does nothing."
            ),
        ] = "",
        dry_run: DryRun = False,  # noqa: FBT002 - Typer's own way to declare a flag
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> None:
        """Give a customer units, or take some back (never below what is there).

        Debt is paid first. One entry, once per --id.
        """
        given = Grant(grant_id or new_id("grant", operator.books.clock()), user, units, reason)
        given.check()
        before = _balance(operator.books, user)
        verb = f"grant {units} units to {user}" if units > 0 else f"take {-units} units from {user}"
        planned = {
            "grant_id": given.grant_id,
            "user_id": user,
            "units": units,
            "remaining_before": before.remaining,
            "debt": before.debt,
        }
        if dry_run:
            kept = operator.books.store.get("ledger", (user, given.entry_id))
            answer = (
                _already(given, kept)
                if kept
                else planned | {"status": "would_be_granted", **_after(before, given)}
            )
        elif operator.output.ask(
            f"{verb} ({before.remaining} remain, {before.debt} debt)?", yes=yes
        ):
            answer = _booked(operator.books, given)
        else:
            answer = planned | {"status": "not_granted"}
        operator.output.show(answer, facts(verb, answer))


def book(books: Books, grant: Grant) -> dict[str, Any]:
    """Book it, once.

    Raises OperatorError for more than there is to take, or an id that another grant has.
    """
    for _ in books.store.deadline.attempts():
        now = books.clock()
        balance = _balance(books, grant.user_id)
        if hold_expiry.holds_are_due(balance, epoch(now)):
            hold_expiry.give_back_expired(books, grant.user_id, balance)
            continue
        movement = _movement(balance, grant)
        account = Write(
            "quotas",
            (grant.user_id, "quota"),
            set={"updated_at": stamp(now), "booked_at": stamp(now)},
            add={
                **{name: units for name, units in movement.add.items() if units},
                "total": grant.units,
            },
            must=movement.must,
        )
        try:
            books.store.commit(grant.entry(stamp(now)).write(), account)
        except ConditionFailedError as refused:
            if kept := refused.old.get(0):
                return _already(grant, kept)
            continue  # the balance has changed: look again
        return {
            "status": "granted",
            "grant_id": grant.grant_id,
            "user_id": grant.user_id,
            "units": grant.units,
            **_after(balance, grant),
        }
    raise OutcomeUnknownError(f"the account {grant.user_id} kept changing until the time was up")


def _booked(books: Books, grant: Grant) -> dict[str, Any]:
    books.store.deadline.begin()
    try:
        return book(books, grant)
    except RetryableError as error:
        raise unreachable(
            f"the outcome is not known: {error}",
            f"run it again with --id {grant.grant_id}: it is booked once only",
        ) from error


def _movement(balance: Balance, grant: Grant) -> Movement:
    if grant.units > 0:
        return come_in(balance, grant.units)
    if balance.remaining < -grant.units:
        raise not_found(
            f"{grant.user_id} has {balance.remaining} units, {-grant.units} cannot be taken",
            "take at most what is there",
        )
    return go_out(balance, -grant.units, "debt")


def _balance(books: Books, user_id: str) -> Balance:
    return Balance.from_item(books.store.get("quotas", (user_id, "quota")))


def _after(balance: Balance, grant: Grant) -> dict[str, Any]:
    moved = _movement(balance, grant).add
    return {
        "remaining": balance.remaining + moved.get("remaining", 0),
        "debt": balance.debt + moved.get("debt", 0),
    }


def _already(grant: Grant, kept: Item) -> dict[str, Any]:
    """The same grant was booked before, or another one under its id."""
    if (kept["units"], kept.get("note")) != (grant.units, grant.reason):
        message = f"the id {grant.grant_id} was used before: {kept['units']:+d} units, {kept.get('note')!r}"
        raise OperatorError(CONFLICT, message, "give another --id for another grant")
    return {
        "status": "already",
        "grant_id": grant.grant_id,
        "user_id": grant.user_id,
        "units": grant.units,
        "booked_at": kept["booked_at"],
    }
