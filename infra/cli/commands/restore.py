"""``topup restore``: restores all tables to one second, under new names, with every setting.

The functions keep using the old tables until ``topup switch``.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from billing import deployment
from billing.clock import epoch
from billing.errors import ConditionFailedError
from billing.storage.writes import Write, absent_or

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, not_found
from infra.cli.operator import Operator
from infra.cli.output import table
from infra.cli.restore.restoration import STEPS, Restoration, restore_all
from infra.cli.restore.restore_time import Window, moment, restored_name, suffix, written
from infra.cli.restore.table_settings import recovery
from infra.cli.target import TargetStack

LAST_WORDS: Final = """\
The functions still use the former tables. Look at the new ones if you like, then run

  topup switch --to {at}{where}

They stay until you delete them, and cost storage.
"""


Own = Annotated[bool, typer.Option("--from-original", help="Restore from the stack's own tables.")]


def register(app: typer.Typer) -> None:
    """Add the command ``restore`` to the application."""

    @command(app, "restore")
    def restore(
        operator: Operator,
        at: Annotated[str, typer.Option("--at", help="2026-11-29T12:00:00Z, '2h ago', or latest.")],
        own: Own = False,  # noqa: FBT002 - Typer's own way to declare a flag
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Restore all tables to one second, under new names, with every setting.

        After an interruption, the same command continues.

        Nothing changes for customers before `topup switch`.

        Example: topup restore --at '2h ago' --stack topup-prod
        """
        target = operator.target
        second = moment(at, datetime.fromtimestamp(epoch(operator.books.clock()), UTC))
        sources = target.own_tables() if own else target.tables()
        at_last, jobs = planned(target, sources, second)
        again = f"topup restore --at {written(at_last)}{' --from-original' * own}{target.options()}"
        if dry_run:
            return _show(operator, at_last, jobs, "would be restored")
        operator.output.tell(
            f"restoring to {written(at_last)}; to continue after an interruption: {again}"
        )
        if not operator.output.ask(f"make {len(jobs)} tables, which cost storage?", yes=yes):
            return FINE
        with operator.output.progress("restoring", len(jobs) * STEPS) as bar:
            restore_all(jobs, again, lambda now: bar(now=now))
        keep_deployment(target, target.using(suffix(at_last)))
        return _show(operator, at_last, jobs, "restored")


def planned(
    target: TargetStack, sources: Mapping[str, str], second: datetime | None
) -> tuple[datetime, list[Restoration]]:
    """Return the time of the restore, and a Restoration for each table.

    ``sources`` are the tables to restore, by logical id. ``second`` None means the latest time to
    which all tables can be restored. Raises OperatorError unless every table can be restored to
    the time. A table whose restore has begun is not checked, because AWS may no longer offer that
    time for it.
    """
    client = target.client("dynamodb")
    if second is None:
        window = _window(client, sources.values())
        window.check(window.latest)
        return window.latest, _jobs(target, sources, window.latest)
    jobs = _jobs(target, sources, second)
    if waiting := [job.source for job in jobs if not job.is_started()]:
        _window(client, waiting).check(second)
    return second, jobs


def keep_deployment(old: TargetStack, new: TargetStack) -> None:
    """Copy the deployment's id to restored tables that do not have it.

    They lack it if they were restored to a time before it was created. The id is in the metadata of
    our Checkout Sessions, and events with another id are ignored. Raises OperatorError if the
    restored tables have another id.
    """
    books = old.books()
    books.store.deadline.begin()
    if name := deployment.StoredDeployment(books.store).known():
        restored = new.books()
        restored.store.deadline.begin()
        same = absent_or("deployment", "==", name)
        writes = [
            Write(row, deployment.KEY, set={"deployment": name}, must=(same,))
            for row in deployment.TABLES
        ]
        try:
            restored.store.commit(*writes)
        except ConditionFailedError as error:
            message = "the restored tables have another deployment's id"
            raise not_found(message, "give another --at") from error


def _jobs(target: TargetStack, sources: Mapping[str, str], at: datetime) -> list[Restoration]:
    client, own, is_aws = target.client("dynamodb"), target.own_tables(), target.endpoint is None
    return [
        Restoration(client, own[logical], source, restored_name(own[logical], at), at, is_aws)
        for logical, source in sorted(sources.items())
    ]


def _window(client: Any, names: Iterable[str]) -> Window:
    rows = {name: recovery(client, name) for name in names}
    state = "PointInTimeRecoveryStatus"
    if off := sorted(name for name, row in rows.items() if row.get(state) != "ENABLED"):
        message = f"point-in-time recovery is off: {', '.join(off)}"
        raise not_found(message, "they cannot be restored; see `topup doctor`")
    return Window.of(rows.values())


def _show(operator: Operator, at: datetime, jobs: list[Restoration], status: str) -> int:
    rows = [{"from": job.source, "to": job.target, "status": status} for job in jobs]
    where = operator.target.options()
    answer = {
        "at": written(at),
        "suffix": suffix(at),
        "tables": rows,
        "next": f"topup switch --to {written(at)}{where}",
    }
    title = f"{len(jobs)} tables {status}, to {written(at)}"
    shown = [table(title, ("from", "to"), [[row["from"], row["to"]] for row in rows])]
    last = [LAST_WORDS.format(at=written(at), where=where)] if status == "restored" else []
    operator.output.show(answer, *shown, *last)
    return FINE
