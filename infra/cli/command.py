"""Registers commands with their shared options.

The options are ``--json``, ``--stack``, ``--profile`` and ``--region``.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from infra.cli.operator import Operator
from infra.cli.troubles import carry_out

EVERYWHERE: Final = "Everywhere"
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document on stdout and nothing else.",
        rich_help_panel=EVERYWHERE,
    ),
]
Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        envvar="TOPUP_STACK",
        help="The CloudFormation stack (default: the local stack).",
        rich_help_panel=EVERYWHERE,
    ),
]
Profile = Annotated[
    str,
    typer.Option("--profile", help="The AWS profile for --stack.", rich_help_panel=EVERYWHERE),
]
Region = Annotated[
    str, typer.Option("--region", help="The AWS region for --stack.", rich_help_panel=EVERYWHERE)
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "as_json": (AsJson, False),
    "stack": (Stack, ""),
    "profile": (Profile, ""),
    "region": (Region, ""),
}
Act = Callable[..., int | None]


def command(
    app: typer.Typer, name: str, *, takes_negatives: bool = False
) -> Callable[[Act], Callable[..., None]]:
    """Register ``act`` as a command.

    ``act`` takes an Operator first, and returns the exit code; None is 0. With ``takes_negatives``
    it reads ``-50`` as a number, not as an option.
    """

    def register(act: Act) -> Callable[..., None]:
        @functools.wraps(act)
        def run(**given: Any) -> None:
            operator = Operator(**{shared: given.pop(shared) for shared in SHARED})
            raise typer.Exit(carry_out(operator, lambda: act(operator, **given)))

        own = list(inspect.signature(act).parameters.values())[1:]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        parameters = [*own, *_shared_parameters()]
        annotations = {parameter.name: parameter.annotation for parameter in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = annotations
        app.command(name, context_settings={"ignore_unknown_options": takes_negatives})(run)
        return run

    return register


def _shared_parameters() -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(name, keyword, default=default, annotation=kind)
        for name, (kind, default) in SHARED.items()
    ]
