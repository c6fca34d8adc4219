"""``topup events``: lists events to the seller, shows one, and sends one again."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import typer
from billing.books import Books
from billing.clock import from_epoch
from billing.errors import Item
from billing.notices import delivery
from billing.notices.rows import Row

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, check_user, not_found
from infra.cli.operator import Operator
from infra.cli.output import facts, table

Choice = Literal["pending", "delivered", "dead"]
COLUMNS: Final = ("id", "type", "created", "user_id", "state", "attempts", "next_try", "last_error")
LIMIT: Final = 100
LIMIT_MAX: Final = 100_000
EventId = Annotated[
    str, typer.Argument(metavar="ID", help="The event's id, as `topup events list` shows it.")
]
User = Annotated[str, typer.Option("--user", help="Only this user's. Reads less.")]


def register(app: typer.Typer) -> None:
    """Add the command ``events`` and its subcommands to the application."""
    group = typer.Typer(
        help="Events out: what your systems were told.", rich_markup_mode=None, no_args_is_help=True
    )
    app.add_typer(group, name="events")
    command(group, "list")(show_all)
    command(group, "show")(show)
    command(group, "resend")(resend)


def show_all(
    operator: Operator,
    user: User = "",
    state: Annotated[
        Choice | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="How many to show.")
    ] = LIMIT,
) -> int:
    """List the events for the seller, the newest first. Exit 1 when any of them is dead.

    An event is dead if 72 hours of attempts have failed. Delivered and dead ones are listed for
    30 days.

    Example: topup events list --state dead
    """
    with operator.output.progress("reading") as bar:
        found = []
        for item in _items(operator.books, user):
            bar()
            if state in (None, item["state"]):
                found.append(item)
    found.sort(key=lambda item: (item["created"], item["sequence"]), reverse=True)
    rows = [_answer(item) for item in found[:limit]]
    cells = [[row[name] for name in COLUMNS] for row in rows]
    title = f"{len(rows)} of {len(found)} events"
    operator.output.show({"events": rows, "count": len(found)}, table(title, COLUMNS, cells))
    return FOUND_SOMETHING if any(item["state"] == "dead" for item in found) else FINE


def show(operator: Operator, name: EventId, user: User = "") -> None:
    """Show one event: its body as it is delivered, and what became of it.

    Example: topup events show evt_019a...
    """
    item = _find(operator.books, name, user)
    answer = _answer(item) | {"body": Row.from_item(item).body()}
    operator.output.show(answer, facts(f"Event {name}", answer))


def resend(
    operator: Operator,
    name: EventId,
    user: User = "",
    dry_run: DryRun = False,  # noqa: FBT002 - Typer's own way to declare a flag
    yes: Yes = False,  # noqa: FBT002 - see above
) -> None:
    """Send an event to the seller again, with the same id, within a minute.

    From now on, failed attempts are repeated for another 72 hours. Receivers that have the event
    already must ignore it by its id.

    Example: topup events resend evt_019a... --yes
    """
    item = _find(operator.books, name, user)
    answer = _answer(item) | {"status": "would_be_sent_again"}
    question = f"send {item['type']} {name} again?"
    if not dry_run and operator.output.ask(question, yes=yes):
        operator.books.store.deadline.begin()
        delivery.send_again(operator.books, Row.from_item(item))
        answer |= {"status": "sent_again", "state": "pending", "ended_at": None}
    operator.output.show(answer, facts(f"Event {name}", answer))


def _items(books: Books, user: str) -> Iterator[Item]:
    if user:
        check_user(user)
        yield from books.store.pages("notices", user)
        return
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("notices", after=after)
        yield from page.items
        after = page.after
        if after is None:
            return


def _find(books: Books, name: str, user: str) -> Item:
    for item in _items(books, user):
        if item["id"] == name:
            return item
    raise not_found(f"there is no event {name}", "`topup events list` shows what there is")


def _answer(item: Item) -> dict[str, Any]:
    due = item.get("due_at")
    names = ("id", "type", "created", "user_id", "sequence", "state", "attempts")
    return {
        **{name: item[name] for name in names},
        "next_try": from_epoch(due) if due else None,
        "ended_at": item.get("ended_at"),
        "last_error": item.get("last_error"),
    }
