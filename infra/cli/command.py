"""What all commands share:

``--json``, ``--stack``, ``--profile``, ``--region``, and how a failure becomes an exit code.
"""

import functools
import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Final

import httpx
import typer
from billing.books import Books
from billing.errors import (
    AwsRefusedError,
    BillingError,
    NotDoneError,
    OutcomeUnknownError,
    StripeRefusedError,
)
from billing.stripe_api.client import TO_A_BUYER, Gateway, StripeNotFoundError, StripeServerError
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli import target
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, USAGE, OperatorError
from infra.cli.output import Screen
from infra.cli.target import Place

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="One JSON document on stdout, nothing else.", rich_help_panel="Everywhere"
    ),
]
Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        envvar="TOPUP_STACK",
        help="The CloudFormation stack; by default the stand.",
        rich_help_panel="Everywhere",
    ),
]
Profile = Annotated[
    str,
    typer.Option("--profile", help="The AWS profile for --stack.", rich_help_panel="Everywhere"),
]
Region = Annotated[
    str, typer.Option("--region", help="The AWS region for --stack.", rich_help_panel="Everywhere")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SHARED = {
    "as_json": (AsJson, False),
    "stack": (Stack, ""),
    "profile": (Profile, ""),
    "region": (Region, ""),
}


class Operator:
    """Who runs a command: where, and how they want to be answered."""

    def __init__(self, *, as_json: bool, stack: str, profile: str, region: str) -> None:
        """Nothing is looked up before it is needed."""
        self.screen = Screen(as_json=as_json)
        self._where = (stack, profile, region)

    @cached_property
    def place(self) -> Place:
        """The stack."""
        return target.find(*self._where)

    @cached_property
    def books(self) -> Books:
        """Its books; one deadline for the next few calls, begun anew by those who make many."""
        return self.place.books()

    @cached_property
    def gateway(self) -> Gateway:
        """Its Stripe account."""
        return self.place.gateway(self.books)


def command(
    app: typer.Typer, name: str, *, takes_negatives: bool = False
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Register an act that takes an Operator first. What it returns is the exit code; None is 0.

    ``takes_negatives``: ``-50`` is a number to it, and no option.
    """

    def register(act: Callable[..., int | None]) -> Callable[..., None]:
        @functools.wraps(act)
        def run(**given: Any) -> None:
            operator = Operator(**{name: given.pop(name) for name in SHARED})
            raise typer.Exit(_carried_out(operator, lambda: act(operator, **given)))

        own = list(inspect.signature(act).parameters.values())[1:]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, (kind, default) in SHARED.items()
        ]
        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {
            parameter.name: parameter.annotation for parameter in (*own, *shared)
        }
        app.command(name, context_settings={"ignore_unknown_options": takes_negatives})(run)
        return run

    return register


AGAIN = "run the same command again; what was done is not done twice"
TROUBLES: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (
        StripeNotFoundError,
        FOUND_SOMETHING,
        "Stripe has no such object",
        "check the id, and that the stack's mode is the id's",
    ),
    (NotDoneError, UNREACHABLE, "DynamoDB had no time for it, nothing was done", AGAIN),
    (OutcomeUnknownError, UNREACHABLE, "the outcome is not known", AGAIN),
    (StripeServerError, UNREACHABLE, "Stripe has trouble", "try again in a while"),
    (
        AwsRefusedError,
        UNREACHABLE,
        "DynamoDB refuses",
        "check the rights of your AWS profile on the stack's tables",
    ),
    (
        BotoCoreError,
        UNREACHABLE,
        "AWS cannot be asked",
        "check that you are signed in, --profile and --region",
    ),
    (httpx.HTTPError, UNREACHABLE, "Stripe does not answer", "try again in a while"),
    (UnicodeDecodeError, USAGE, "the file is no text", "give a file of JSON"),
    (OSError, USAGE, "the file cannot be used", "check the path and your rights on it"),
    (ClientError, UNREACHABLE, "AWS refuses", "check the rights of your AWS profile"),
)
"""What each kind of trouble means to an operator: exit code, words, what to do."""


def _carried_out(operator: Operator, act: Callable[[], int | None]) -> int:
    try:
        return act() or FINE
    except OperatorError as error:
        return _failed(operator, error.code, str(error), error.mend)
    except BillingError as error:
        unreachable = error.code in ("stripe_unavailable", "stripe_refused")
        mend = "`topup doctor` says what is wrong with the connection" if unreachable else ""
        refused = isinstance(error, StripeRefusedError)
        said = str(error) if refused else error.detail.removesuffix(TO_A_BUYER)
        return _failed(operator, UNREACHABLE if unreachable else FOUND_SOMETHING, said, mend)
    except tuple(kind for kind, *_ in TROUBLES) as error:
        code, words, mend = next(
            (code, words, mend) for kind, code, words, mend in TROUBLES if isinstance(error, kind)
        )
        return _failed(operator, code, f"{words}: {error}", mend)


def _failed(operator: Operator, code: int, message: str, mend: str) -> int:
    if operator.screen.as_json:
        operator.screen.line({"error": message, "mend": mend or None})
    else:
        operator.screen.tell(f"{message}\n{mend}".rstrip())
    return code
