"""``topup switch``: makes the functions use other tables, by one update of the stack."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from billing.clock import epoch, utc_now
from billing.settings import TABLE_VARIABLES

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, not_found, usage
from infra.cli.operator import Operator
from infra.cli.output import table
from infra.cli.restore.restoration import Restoration
from infra.cli.restore.restore_time import FORM, LATEST, moment, suffix
from infra.cli.restore.revived_keys import Revived, revived, revoke_again
from infra.cli.restore.stack_update import change_parameter
from infra.cli.target import TargetStack
from infra.deploy.choices import SUFFIX

ORIGINAL: Final = "original"
ALIAS: Final = "live"
"""The alias that the functions have if the stage uses SnapStart: infra/deploy/snapstart.py."""
AFTERWARDS: Final = """\
Stripe knows what was sold in between, and the tables do not. Next, run

  topup reconcile --since {days}d --repair{where}
  topup ledger verify --repair{where}

Units that were spent in between are the customers' again.
Grants and API keys of that time must be made again.
To go back: topup switch --to {back}{where}
"""


Revoke = Annotated[
    bool, typer.Option("--revoke-again", help="Revoke the keys that a restore revived.")
]


def register(app: typer.Typer) -> None:
    """Add the command ``switch`` to the application."""

    @command(app, "switch")
    def switch(
        operator: Operator,
        to: Annotated[
            str,
            typer.Option(
                "--to", help="The time of a restore, or original for the stack's own tables."
            ),
        ],
        revoke: Revoke = False,  # noqa: FBT002 - Typer's own way to declare a flag
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Make the functions use restored tables, or the stack's own again.

        It is one update of the stack, which AWS rolls back if it fails. No table is deleted.

        API keys that were revoked after the time of the restore become valid again: they are
        listed, and --revoke-again revokes them.

        Example: topup switch --to 2026-11-29T12:00:00Z --stack topup-prod
        """
        old, new = operator.target, operator.target.using(_suffix(to))
        check_ready(new)
        keys = revived(old, new)
        _report_keys(operator, keys, revoke=revoke)
        question = f"let {old.stack_name} use the tables of {to}?"
        if dry_run or not operator.output.ask(question, yes=yes):
            status = "would be switched" if dry_run else "not switched"
            return _show(operator, old, new, keys, status)
        is_changed, keys = _switch(operator, old, new, revoke=revoke)
        code = _show(operator, old, new, keys, "switched" if is_changed else "already")
        return _report_functions(operator, new) or code


def _switch(
    operator: Operator, old: TargetStack, new: TargetStack, *, revoke: bool
) -> tuple[bool, list[Revived]]:
    """Make the functions use the tables of ``new``, by an update of the stack.

    Returns whether the stack was changed, and the API keys that the restore made valid again. With
    ``revoke`` they are revoked before and after the update, because a customer may revoke a key in
    the old tables concurrently.
    """
    if revoke:
        revoke_again(new, revived(old, new))
    with operator.output.progress("updating the stack"):
        is_changed = change_parameter(
            new.client("cloudformation"), new.stack_name, SUFFIX, new.suffix
        )
    keys = revived(old, new)
    if revoke:
        revoke_again(new, keys)
    return is_changed, keys


def check_ready(new: TargetStack) -> None:
    """Raise OperatorError unless the tables of ``new`` are ready for use.

    Each must be active, with the same settings and indexes as the table that the stack itself
    created. ``new`` is the stack with the names of restored tables.
    """
    client, own, is_aws = new.client("dynamodb"), new.own_tables(), new.endpoint is None
    now = utc_now()
    lacking = {
        name: lacks
        for logical, name in new.tables().items()
        if (lacks := Restoration(client, own[logical], own[logical], name, now, is_aws).lacks())
    }
    if lacking:
        lines = "\n".join(f"  {name} lacks {', '.join(lacks)}" for name, lacks in lacking.items())
        raise not_found(
            f"these tables are not ready:\n{lines}", "`topup restore` with the same time continues"
        )


def _suffix(to: str) -> str:
    if to == ORIGINAL:
        return ""
    now = utc_now()
    at = moment(to, now)
    if at is None or re.search(r" ago$", to):
        repair = f"give the time that `topup restore` printed, or {ORIGINAL}; not {LATEST} ({FORM})"
        raise usage(f"{to!r} names no restore", repair)
    return suffix(at)


def unswitched(new: TargetStack) -> list[str]:
    """Return the logical ids of functions that do not use the tables of ``new``.

    The settings come from Lambda. For a function with published versions they are the settings of
    the version that the alias names.
    """
    client, wanted = new.client("lambda"), set(new.tables().values())
    published = {name.removesuffix(f"Alias{ALIAS}") for name in new.of_type("AWS::Lambda::Alias")}
    return sorted(
        logical
        for logical, name in new.of_type("AWS::Lambda::Function").items()
        if not _names(_environment(client, name, is_published=logical in published)) <= wanted
    )


def _environment(client: Any, name: str, *, is_published: bool) -> Mapping[str, str]:
    qualifier = {"Qualifier": ALIAS} if is_published else {}
    found: Mapping[str, str] = client.get_function_configuration(FunctionName=name, **qualifier)[
        "Environment"
    ]["Variables"]
    return found


def _names(environment: Mapping[str, str]) -> set[str]:
    return {environment[name] for name in TABLE_VARIABLES.values() if name in environment}


def _report_functions(operator: Operator, new: TargetStack) -> int:
    if not (left := unswitched(new)):
        return FINE
    operator.output.tell(f"these functions still use the former tables: {', '.join(left)}")
    operator.output.tell("Deploy (`make deploy STAGE=...`): it publishes them again.")
    return FOUND_SOMETHING


def _report_keys(operator: Operator, keys: list[Revived], *, revoke: bool) -> None:
    if keys and not revoke:
        lines = "\n".join(f"  {key.key_id} of {key.user_id}" for key in keys)
        what = f"{len(keys)} API keys that were revoked since would become valid again"
        operator.output.tell(f"{what}; --revoke-again revokes them:\n{lines}")


def _show(
    operator: Operator, old: TargetStack, new: TargetStack, keys: list[Revived], status: str
) -> int:
    rows = [[old.tables()[logical], name] for logical, name in sorted(new.tables().items())]
    where, back = new.options(), _written(old.suffix)
    words = AFTERWARDS.format(days=_days(old, new), where=where, back=back)
    answer = {
        "status": status,
        "suffix": new.suffix,
        "tables": [{"from": one, "to": other} for one, other in rows],
        "revived_keys": [{"user_id": key.user_id, "key_id": key.key_id} for key in keys],
    }
    operator.output.show(
        answer,
        table(f"{new.stack_name}: {status}", ("from", "to"), rows),
        *([words] if status == "switched" else []),
    )
    return FINE


def _days(old: TargetStack, new: TargetStack) -> int:
    """Return how many days back the operator should reconcile after the switch.

    They begin at least a day before the time to which the old or the new tables were restored,
    whichever is earlier.
    """
    now = epoch(utc_now())
    times = [moment(_written(target.suffix), utc_now()) for target in (old, new) if target.suffix]
    earliest = min((epoch(at) for at in times if at), default=now)
    return 2 + (now - earliest) // 86_400


def _written(suffix_: str) -> str:
    """Return the time in the suffix of restored tables' names, as ``2026-11-29T12:00:00Z``.

    The suffix "", of the stack's own tables, gives ``original``.
    """
    match = re.fullmatch(r"-at-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", suffix_)
    return "{}-{}-{}T{}:{}:{}Z".format(*match.groups()) if match else ORIGINAL
