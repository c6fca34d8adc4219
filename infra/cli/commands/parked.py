"""``topup parked``: lists parked events, retries them, or drops them with a reason.

An event of Stripe's is parked (stored for later) if it cannot be settled, for example because its
payment is unknown.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import typer
from billing.books import Books
from billing.clock import from_epoch
from billing.facts import to_item
from billing.parked import dropping
from billing.parked.records import Parked, all_dropped, all_parked, find
from billing.reconciliation import retry_parked
from billing.stripe_api.client import Gateway

from infra.cli.command import AsJson, DryRun, Profile, Region, Stack, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, not_found, usage
from infra.cli.operator import Operator
from infra.cli.output import Bar, facts, table
from infra.cli.previews import preview

FactId = Annotated[
    str, typer.Argument(metavar="ID", help="The event's id, as `topup parked` shows it.")
]
REASON_CHARS_MAX: Final = 500
PARKED: Final = ("fact_id", "type", "kind", "parked_at", "tries", "next_try", "why")
DROPPED: Final = ("fact_id", "type", "kind", "dropped_at", "reason", "why")
LIMIT: Final = 1000
LIMIT_MAX: Final = 100_000
Limit = Annotated[int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="How many to show.")]


Dropped = Annotated[
    bool,
    typer.Option("--dropped", help="List the events that an operator dropped, with the reason."),
]


def register(app: typer.Typer) -> None:
    """Add the command ``parked`` and its subcommands to the application.

    Without a subcommand ``topup parked`` lists the parked events, which could not be settled yet.
    """
    group = typer.Typer(
        help="Parked events, which could not be settled. Without a command it lists them.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="parked")
    run_list = command(group, "list")(show_all)
    command(group, "retry")(retry)
    command(group, "drop")(drop)

    @group.callback(invoke_without_command=True)
    def alone(
        context: typer.Context,
        as_json: AsJson = False,  # noqa: FBT002 - Typer's own way to declare a flag
        stack: Stack = "",
        profile: Profile = "",
        region: Region = "",
    ) -> None:
        if context.invoked_subcommand is not None:
            _refuse_misplaced(context)
            return
        shared = {"as_json": as_json, "stack": stack, "profile": profile, "region": region}
        run_list(**shared, dropped=False, limit=LIMIT)


def show_all(
    operator: Operator,
    dropped: Dropped = False,  # noqa: FBT002 - Typer's own way to declare a flag
    limit: Limit = LIMIT,
) -> int:
    """List parked events: Stripe's events that are kept until they can be settled.

    Exit 1 when any of them needs an operator, because it is not retried by itself.

    Example: topup parked list --dropped
    """
    if dropped:
        _show_dropped(operator, limit)
        return FINE
    with operator.output.progress("reading") as bar:
        records = list(_counted(all_parked(operator.books), bar))
    rows = [record.as_answer() | {"next_try": _when(record)} for record in records]
    cells = [[row[name] for name in PARKED] for row in rows[:limit]]
    shown = table(_headed(len(rows), limit, "parked events"), PARKED, cells)
    operator.output.show({"parked": rows[:limit], "count": len(rows)}, shown)
    return FOUND_SOMETHING if any(record.waits_for_operator for record in records) else FINE


def retry(
    operator: Operator,
    name: FactId,
    dry_run: DryRun = False,  # noqa: FBT002 - see above
    yes: Yes = False,  # noqa: FBT002 - see above
) -> int:
    """Retry a parked event now, after you repaired what it waits for.

    Recovery retries parked events each minute. Exit 1 if the event stays parked.

    Example: topup parked retry evt_1PqX... --dry-run
    """
    record = _find(operator, name)
    answer = _answer(record) | {"would": preview(operator.books, record.fact)}
    question = f"settle {record.fact.type} {name}: {answer['would']}?"
    if not dry_run and operator.output.ask(question, yes=yes):
        operator.books.store.deadline.begin()
        answer = _answer(record) | retried(operator.books, operator.gateway, record)
    operator.output.show(answer, facts(f"Parked {name}", answer))
    return FOUND_SOMETHING if answer.get("status") == "parked" else FINE


def drop(
    operator: Operator,
    name: FactId,
    reason: Annotated[
        str, typer.Option("--reason", help="Why it must not be settled; stored with it.")
    ],
    dry_run: DryRun = False,  # noqa: FBT002 - see above
    yes: Yes = False,  # noqa: FBT002 - see above
) -> None:
    """Drop a parked event for good, for example after you refunded the payment by hand.

    The event is stored with the reason.

    Example: topup parked drop evt_1PqX... --reason "refunded by hand"
    """
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise usage("a reason is needed", f"--reason with 1 to {REASON_CHARS_MAX} characters")
    record = _find(operator, name)
    answer = _answer(record) | {"status": "would_be_dropped", "reason": reason}
    question = f"drop {record.fact.type} {name} for good?"
    if not dry_run and operator.output.ask(question, yes=yes):
        operator.books.store.deadline.begin()
        dropping.drop(operator.books, record, reason)
        answer |= {"status": "dropped"}
    operator.output.show(answer, facts(f"Parked {name}", answer))


def _refuse_misplaced(context: typer.Context) -> None:
    """Raise BadParameter if an option stands before the subcommand.

    There it would have no effect. TOPUP_STACK is allowed, because it applies to every command.
    """
    sources = [
        context.get_parameter_source(name) for name in ("as_json", "stack", "profile", "region")
    ]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        example = f"topup parked {context.invoked_subcommand} ... --json"
        raise typer.BadParameter(f"options stand behind the command: {example}")


def _show_dropped(operator: Operator, limit: int) -> None:
    rows = list(all_dropped(operator.books))
    cells = [[row[name] for name in DROPPED] for row in rows[:limit]]
    shown = table(_headed(len(rows), limit, "dropped events"), DROPPED, cells)
    operator.output.show({"dropped": rows[:limit], "count": len(rows)}, shown)


def _headed(count: int, limit: int, what: str) -> str:
    return f"{count} {what}" if count <= limit else f"{limit} of {count} {what}; --limit shows more"


def _counted(records: Iterable[Parked], bar: Bar) -> Iterator[Parked]:
    for record in records:
        bar()
        yield record


def retried(books: Books, gateway: Gateway, record: Parked) -> dict[str, Any]:
    """Retry a parked event, and return the result as plain data.

    ``status`` is ``settled``, ``ignored``, ``dropped`` or ``parked``. For an event that stays
    parked, ``why`` is the reason, and ``trouble`` is the error if the retry failed.
    """
    troubles: list[str] = []

    def keep(_: Parked, error: Exception) -> None:
        troubles.append(str(error))

    if status := retry_parked.try_again(books, gateway, record, keep):
        return {"status": status}
    left = find(books, record.name)
    answer = {"status": "parked", "why": left.why if left else record.why}
    if troubles:
        answer["trouble"] = troubles[0]
    return answer


def _find(operator: Operator, name: str) -> Parked:
    for record in all_parked(operator.books):
        if name in (record.fact.fact_id, record.name):
            return record
    raise not_found(f"{name} is not parked", "`topup parked list` shows what is")


def _answer(record: Parked) -> dict[str, Any]:
    return record.as_answer() | {"fact": to_item(record.fact)}


def _when(record: Parked) -> str:
    return from_epoch(record.next_try) if record.next_try else "needs an operator"
