"""Registers commands with their shared options, and with an exit code for each kind of failure.

The options are ``--json``, ``--stack``, ``--profile`` and ``--region``.
"""

import functools
import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple

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
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import TO_A_BUYER, StripeNotFoundError, StripeServerError
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, USAGE, OperatorError
from infra.cli.find_target import find_target
from infra.cli.output import Output
from infra.cli.target import TargetStack

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


class Operator:
    """The context of a command: the target stack and the output."""

    def __init__(self, *, as_json: bool, stack: str, profile: str, region: str) -> None:
        """Read nothing yet: stack, books and Stripe account are found at their first use."""
        self.output = Output(as_json=as_json)
        self._names = (stack, profile, region)

    @cached_property
    def target(self) -> TargetStack:
        """Return the target stack."""
        return find_target(*self._names)

    @cached_property
    def books(self) -> Books:
        """Return the stack's books, with a new deadline.

        Commands with many calls begin it for each.
        """
        return self.target.books()

    @cached_property
    def gateway(self) -> Gateway:
        """Return the client of the stack's Stripe account."""
        return self.target.gateway(self.books)


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
            raise typer.Exit(_carry_out(operator, lambda: act(operator, **given)))

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


class Trouble(NamedTuple):
    """The exit code, cause and remedy that a command reports for one kind of exception."""

    kind: type[Exception]
    code: int
    words: str
    repair: str


AGAIN: Final = "run the same command again; a retry does nothing twice"
LATER: Final = "try again in a while"
TROUBLES: Final = (
    Trouble(
        StripeNotFoundError,
        FOUND_SOMETHING,
        "Stripe has no such object",
        "check the id, and that the stack's mode is the id's",
    ),
    Trouble(NotDoneError, UNREACHABLE, "DynamoDB timed out, nothing was written", AGAIN),
    Trouble(OutcomeUnknownError, UNREACHABLE, "the outcome is not known", AGAIN),
    Trouble(StripeServerError, UNREACHABLE, "Stripe failed", LATER),
    Trouble(
        AwsRefusedError,
        UNREACHABLE,
        "DynamoDB refuses",
        "check the rights of your AWS profile on the stack's tables",
    ),
    Trouble(
        BotoCoreError,
        UNREACHABLE,
        "AWS cannot be reached",
        "check that you are signed in, --profile and --region",
    ),
    Trouble(httpx.HTTPError, UNREACHABLE, "Stripe does not answer", LATER),
    Trouble(UnicodeDecodeError, USAGE, "the file is not text", "give a file of JSON"),
    Trouble(OSError, USAGE, "the file cannot be used", "check the path and your rights on it"),
    Trouble(ClientError, UNREACHABLE, "AWS refuses", "check the rights of your AWS profile"),
)
"""The first that matches an exception applies."""


def _carry_out(operator: Operator, act: Callable[[], int | None]) -> int:
    """Return the act's exit code. A known failure is reported, and has a code of its own."""
    try:
        return act() or FINE
    except OperatorError as error:
        return _report(operator, error.code, str(error), error.repair)
    except BillingError as error:
        return _report_billing_error(operator, error)
    except tuple(trouble.kind for trouble in TROUBLES) as error:
        trouble = next(trouble for trouble in TROUBLES if isinstance(error, trouble.kind))
        message = f"{trouble.words}: {error}"
        return _report(operator, trouble.code, message, trouble.repair)


def _report_billing_error(operator: Operator, error: BillingError) -> int:
    is_refused = isinstance(error, StripeRefusedError)
    message = str(error) if is_refused else error.detail.removesuffix(TO_A_BUYER)
    if error.code in ("stripe_unavailable", "stripe_refused"):
        repair = "`topup doctor` shows what is wrong with the connection"
        return _report(operator, UNREACHABLE, message, repair)
    return _report(operator, FOUND_SOMETHING, message, "")


def _report(operator: Operator, code: int, message: str, repair: str) -> int:
    if operator.output.as_json:
        operator.output.line({"error": message, "repair": repair or None})
    else:
        operator.output.tell(f"{message}\n{repair}".rstrip())
    return code
