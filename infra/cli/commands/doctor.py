"""``topup doctor``: everything that keeps money from becoming units, each with how to mend it."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

import httpx
import typer
from billing.errors import AwsRefusedError, RetryableError
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import RenderableType

from infra.cli.checks import aws, books, selling, stripe
from infra.cli.checks.findings import Finding, Patient
from infra.cli.command import Operator, command
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE
from infra.cli.output import table
from infra.cli.stripe.account import AccountAtStripe, KeyRefusedError
from infra.cli.target import TargetStack

Check = Callable[[Patient], Iterator[Finding]]
CHECKS: Final[dict[str, Check]] = {
    "stripe key": stripe.key,
    "stripe key's rights": selling.rights,
    "prices": selling.prices,
    "webhook": stripe.signing_secret,
    "endpoint": stripe.endpoints,
    "deliveries": stripe.deliveries,
    "clock": stripe.clock,
    "parked": books.parked,
    "reconciliation": books.reconciliation,
    "tables": aws.tables,
    "dead letters": aws.queues,
    "schedules": aws.schedules,
    "reserve": aws.reserve,
    "alarms": aws.alarms,
}
UNANSWERED: Final = (
    BotoCoreError,
    ClientError,
    httpx.HTTPError,
    KeyRefusedError,
    RetryableError,
    AwsRefusedError,
)
SIGNS: Final = {"ok": "ok", "note": "note", "wrong": "WRONG", "unknown": "?"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "doctor")
    def doctor(
        operator: Operator,
        webhook_url: Annotated[
            str,
            typer.Option(
                "--webhook-url", help="The webhook's address, where it has a domain of its own."
            ),
        ] = "",
    ) -> int:
        """Look at everything that a payment depends on:

        Stripe's side, the webhook, the books, AWS. Each fault with its remedy.
        """
        target = operator.target.at(webhook_url)
        findings = examined(operator, target)
        said, renderables = told(target, findings)
        operator.output.show(said, *renderables)
        return exit_code(findings)


def examined(operator: Operator, target: TargetStack) -> list[Finding]:
    """What all checks find at ``target``, with a bar."""
    account = AccountAtStripe(target.stripe_key, target.settings.stripe_api_base)
    with operator.output.progress("looking", len(CHECKS)) as bar:
        findings = []
        for name, check in CHECKS.items():
            bar(0, now=name)
            findings += examine(Patient(target, operator.books, account), name, check)
            bar()
    return findings


def exit_code(findings: list[Finding]) -> int:
    """What is known to be wrong counts more than what is not known."""
    levels = {finding.level for finding in findings}
    return FOUND_SOMETHING if "wrong" in levels else UNREACHABLE if "unknown" in levels else FINE


def examine(patient: Patient, name: str, check: Check) -> list[Finding]:
    """What one check finds. One that cannot look says so, and the others go on."""
    patient.books.store.deadline.begin()
    found: list[Finding] = []
    try:
        found.extend(check(patient))
    except UNANSWERED as error:
        found.append(
            Finding(
                name,
                "unknown",
                f"could not be looked at: {type(error).__name__}: {error}",
                "check your rights and the connection",
            )
        )
    return found


def told(
    target: TargetStack, findings: list[Finding]
) -> tuple[dict[str, Any], list[RenderableType]]:
    """The report: as data, and as people read it."""
    wrong = [finding for finding in findings if finding.level in ("wrong", "unknown")]
    rows = [[SIGNS[finding.level], finding.check, finding.what] for finding in findings]
    mending = [
        f"{number}. {finding.check}: {finding.what}\n   {finding.repair}\n"
        for number, finding in enumerate(wrong, 1)
    ]
    return (
        {
            "stack": target.stack_name,
            "findings": [finding.as_answer() for finding in findings],
            "wrong": len(wrong),
        },
        [
            table(f"{target.stack_name} ({target.settings.stage})", ("", "what", "finding"), rows),
            *(["What to do", *mending] if mending else ["Nothing to repair."]),
        ],
    )
