"""``topup parked``: facts that could not be applied; to be looked at, tried again, or dropped with a reason."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import typer
from billing.books import Books
from billing.clock import from_epoch
from billing.facts import to_item
from billing.payments import parking
from billing.payments.parking import FOR_A_PERSON, Parked
from billing.reconciliation import retry_parked
from billing.stripe_api.client import Gateway

from infra.cli.command import AsJson, DryRun, Operator, Profile, Region, Stack, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, not_found, usage
from infra.cli.output import Bar, facts, table
from infra.cli.previews import preview

FactId = Annotated[
    str, typer.Argument(metavar="ID", help="The fact's id, as `topup parked` shows it.")
]
REASON_CHARS_MAX = 500
LIMIT: Final = 1000
LIMIT_MAX: Final = 100_000
Limit = Annotated[int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="How many are shown.")]


def register(app: typer.Typer) -> None:
    """Add the group: ``topup parked`` alone lists."""
    group = typer.Typer(
        help="Facts that could not be applied: alone it lists them; retry, drop.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="parked")

    @command(group, "list")
    def show_all(
        operator: Operator,
        dropped: Annotated[
            bool,
            typer.Option("--dropped", help="Those that a person has dropped, with the reason."),
        ] = False,
        limit: Limit = LIMIT,
    ) -> int:
        """List parked facts; exit 1 when one of them, shown or not, waits for a person."""
        if dropped:
            _show_dropped(operator, limit)
            return FINE
        with operator.output.progress("reading") as bar:
            rows = [
                row.as_answer() | {"next_try": _when(row)}
                for row in _counted(parking.all_parked(operator.books), bar)
            ]
        columns = ("fact", "type", "kind", "parked", "tries", "next try", "why")
        cells = [
            [
                row[name]
                for name in ("fact_id", "type", "kind", "parked_at", "tries", "next_try", "why")
            ]
            for row in rows[:limit]
        ]
        shown = table(_headed(len(rows), limit, "parked facts"), columns, cells)
        operator.output.show({"parked": rows[:limit], "count": len(rows)}, shown)
        return FOUND_SOMETHING if any(row["kind"] in FOR_A_PERSON for row in rows) else FINE

    @group.callback(invoke_without_command=True)
    def alone(
        context: typer.Context,
        as_json: AsJson = False,
        stack: Stack = "",
        profile: Profile = "",
        region: Region = "",
    ) -> None:
        if context.invoked_subcommand is None:
            show_all(
                as_json=as_json,
                stack=stack,
                profile=profile,
                region=region,
                dropped=False,
                limit=LIMIT,
            )
        else:
            _refuse_misplaced(context)

    @command(group, "retry")
    def retry(operator: Operator, name: FactId, dry_run: DryRun = False, yes: Yes = False) -> int:  # noqa: FBT002 - Typer's flags
        """Try one now, as recovery does each minute, after you have mended what it waited for.

        Exit 1 if it stays parked.
        """
        record = _find(operator, name)
        answer = _described(record) | {"would": preview(operator.books, record.fact)}
        if not dry_run and operator.output.ask(
            f"settle {record.fact.type} {name}: {answer['would']}?", yes=yes
        ):
            operator.books.store.deadline.begin()
            answer = _described(record) | retried(operator.books, operator.gateway, record)
        operator.output.show(answer, facts(f"Parked {name}", answer))
        return FOUND_SOMETHING if answer.get("status") == "parked" else FINE

    @command(group, "drop")
    def drop(
        operator: Operator,
        name: FactId,
        reason: Annotated[
            str, typer.Option("--reason", help="Why it is not to be settled; kept with it.")
        ],
        dry_run: DryRun = False,  # noqa: FBT002 - Typer's flags
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> None:
        """Decide that one is never to be settled, as a payment that you have refunded by hand.

        It is kept, with the reason.
        """
        if not reason.strip() or len(reason) > REASON_CHARS_MAX:
            raise usage("a reason is needed", f"--reason with 1 to {REASON_CHARS_MAX} characters")
        record = _find(operator, name)
        answer = _described(record) | {"status": "would_be_dropped", "reason": reason}
        if not dry_run and operator.output.ask(
            f"drop {record.fact.type} {name} for good?", yes=yes
        ):
            operator.books.store.deadline.begin()
            parking.drop(operator.books, record, reason)
            answer |= {"status": "dropped"}
        operator.output.show(answer, facts(f"Parked {name}", answer))


def _refuse_misplaced(context: typer.Context) -> None:
    """Options before the command are nobody's: taken for granted, they would be passed over.

    TOPUP_STACK is for every command.
    """
    sources = [
        context.get_parameter_source(name) for name in ("as_json", "stack", "profile", "region")
    ]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        raise typer.BadParameter(
            f"options stand behind the command: topup parked {context.invoked_subcommand} ... --json"
        )


def _show_dropped(operator: Operator, limit: int) -> None:
    rows = list(parking.all_dropped(operator.books))
    cells = [
        [row[name] for name in ("fact_id", "type", "kind", "dropped_at", "reason", "why")]
        for row in rows[:limit]
    ]
    title = _headed(len(rows), limit, "dropped facts")
    operator.output.show(
        {"dropped": rows[:limit], "count": len(rows)},
        table(title, ("fact", "type", "kind", "dropped", "reason", "why"), cells),
    )


def _headed(count: int, limit: int, what: str) -> str:
    return f"{count} {what}" if count <= limit else f"{limit} of {count} {what}; --limit shows more"


def _counted(records: Iterable[Parked], bar: Bar) -> Iterator[Parked]:
    for record in records:
        bar()
        yield record


def retried(books: Books, gateway: Gateway, record: Parked) -> dict[str, Any]:
    """What became of it:

    ``settled``, ``ignored``, ``dropped`` with its purchase, or ``parked`` as before, and why.
    """
    troubles: list[str] = []
    if became := retry_parked.try_again(
        books, gateway, record, lambda _, error: troubles.append(str(error))
    ):
        return {"status": became}
    left = parking.find(books, record.name)
    answer = {"status": "parked", "why": left.why if left else record.why}
    return answer | ({"trouble": troubles[0]} if troubles else {})


def _find(operator: Operator, name: str) -> Parked:
    record = next(
        (
            record
            for record in parking.all_parked(operator.books)
            if name in (record.fact.fact_id, record.name)
        ),
        None,
    )
    if record is None:
        raise not_found(f"{name} is not parked", "`topup parked list` shows what is")
    return record


def _described(record: Parked) -> dict[str, Any]:
    return record.as_answer() | {"fact": to_item(record.fact)}


def _when(record: Parked) -> str:
    return from_epoch(record.next_try) if record.next_try else "waits for a person"
