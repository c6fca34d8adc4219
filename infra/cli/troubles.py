"""Carries out a command, and turns its failures into a message and an exit code."""

from collections.abc import Callable
from typing import Final, NamedTuple

import httpx
from billing.errors import (
    AwsRefusedError,
    BillingError,
    NotDoneError,
    OutcomeUnknownError,
    StripeRefusedError,
)
from billing.stripe_api.outcomes import TO_A_BUYER, StripeNotFoundError, StripeServerError
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, USAGE, OperatorError
from infra.cli.operator import Operator


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
"""What a command reports for each kind of exception. The first entry that matches applies."""


def carry_out(operator: Operator, act: Callable[[], int | None]) -> int:
    """Run ``act``, and return the command's exit code.

    That is what ``act`` returns (None is 0). An exception of a known kind, for example one in
    TROUBLES, is shown to the operator and becomes an exit code. Any other exception is raised.
    """
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
