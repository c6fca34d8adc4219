"""``topup grant``: gives units to a customer or takes them back, after asking the operator."""

from typing import Annotated, Any, assert_never

import typer
from billing.books import Books
from billing.errors import RetryableError
from billing.grants.booking import book, find_booked, left_after
from billing.grants.grant import Grant, GrantError
from billing.ids import new_id
from billing.spending import debits

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FOUND_SOMETHING, OperatorError, not_found, unreachable, usage
from infra.cli.operator import Operator
from infra.cli.output import facts


def register(app: typer.Typer) -> None:
    """Add the command ``grant`` to the application."""

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

        Debt is paid first. A repeat with the same --id changes nothing.
        """
        given = Grant(grant_id or new_id("grant", operator.books.clock()), user, units, reason)
        verb = (
            f"grant {units} units to {user}"
            if given.is_given
            else f"take {-units} units from {user}"
        )
        try:
            answer = _run(operator, given, verb, dry_run=dry_run, yes=yes)
        except GrantError as error:
            raise _for_the_operator(error) from error
        operator.output.show(answer, facts(verb, answer))


def _run(operator: Operator, given: Grant, verb: str, *, dry_run: bool, yes: bool) -> Any:
    """Give or take a grant's units, after asking the operator, and return the answer to show.

    ``verb`` is the start of the question. If the operator says no, nothing is changed, and the
    answer's status is ``not_granted``. With ``dry_run`` nothing is asked or changed, and the answer
    says what would be done. Raises GrantError if the grant is refused.
    """
    given.check(operator.books.clock())
    operator.books.store.deadline.begin()
    before = debits.read(operator.books, given.user_id)
    planned = {
        "grant_id": given.grant_id,
        "user_id": given.user_id,
        "units": given.units,
        "remaining_before": before.remaining,
        "debt": before.debt,
    }
    if dry_run:
        booked = find_booked(operator.books, given)
        would = {**planned, "status": "would_be_granted"}
        return booked or would | left_after(before, given)
    question = f"{verb} ({before.remaining} remain, {before.debt} debt)?"
    if operator.output.ask(question, yes=yes):
        return _book(operator.books, given)
    return planned | {"status": "not_granted"}


def _book(books: Books, grant: Grant) -> dict[str, Any]:
    """Give or take the grant's units, and return the answer to show.

    Raises OperatorError if DynamoDB did not answer in time, so that the outcome is unknown, and
    GrantError if the grant is refused.
    """
    books.store.deadline.begin()
    try:
        return book(books, grant)
    except RetryableError as error:
        raise unreachable(
            f"the outcome is not known: {error}",
            f"run it again with --id {grant.grant_id}: it is booked once only",
        ) from error


def _for_the_operator(error: GrantError) -> OperatorError:
    """Return the OperatorError to raise for a grant (of units) that cannot be booked.

    The exit code depends on the kind of ``error``: an invalid grant, too few units to take back, or
    an id that belongs to another grant.
    """
    message, remedy = str(error), error.remedy
    match error.kind:
        case "invalid":
            return usage(message, remedy)
        case "not_enough":
            return not_found(message, remedy)
        case "conflict":
            return OperatorError(FOUND_SOMETHING, message, remedy)
        case _:
            assert_never(error.kind)
