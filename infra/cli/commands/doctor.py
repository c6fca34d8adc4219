"""``topup doctor``: finds the faults that keep payments from becoming units, and their repairs."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

import httpx
import typer
from billing.errors import AwsRefusedError, RetryableError
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import RenderableType

from infra.cli.checks import aws, books, events, selling, stripe, tables
from infra.cli.checks.endpoints import endpoints
from infra.cli.checks.findings import Finding, Patient
from infra.cli.command import command
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE
from infra.cli.operator import Operator
from infra.cli.output import table
from infra.cli.stripe.account import AccountAtStripe, KeyRefusedError
from infra.cli.target import TargetStack

Check = Callable[[Patient], Iterator[Finding]]
CHECKS: Final[dict[str, Check]] = {
    "stripe key": stripe.key,
    "stripe key's rights": selling.rights,
    "prices": selling.prices,
    "webhook": stripe.signing_secret,
    "endpoint": endpoints,
    "deliveries": stripe.deliveries,
    "clock": stripe.clock,
    "parked": books.parked,
    "reconciliation": books.reconciliation,
    "tables": tables.tables,
    "dead letters": aws.queues,
    "events out": events.events,
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
    """Add the command ``doctor`` to the application."""

    @command(app, "doctor")
    def doctor(
        operator: Operator,
        webhook_url: Annotated[
            str,
            typer.Option("--webhook-url", help="The webhook's address, if it has its own domain."),
        ] = "",
    ) -> int:
        """Check all that a payment depends on, and show each fault with its repair.

        The checks read Stripe's side, the webhook, the books and AWS, and change nothing. Where
        events go out, one of type `ping` is sent.

        Example: topup doctor --stack topup-prod --webhook-url https://pay.example.com/hook
        """
        target = operator.target.at(webhook_url)
        findings = examine_all(operator, target)
        answer, renderables = report(target, findings)
        operator.output.show(answer, *renderables)
        return exit_code(findings)


def examine_all(operator: Operator, target: TargetStack) -> list[Finding]:
    """Run all checks with a progress bar, and return their findings."""
    account = AccountAtStripe(target.stripe_key, target.settings.stripe_api_base)
    with operator.output.progress("checking", len(CHECKS)) as bar:
        findings = []
        for name, check in CHECKS.items():
            bar(0, now=name)
            findings += examine(Patient(target, operator.books, account), name, check)
            bar()
    return findings


def exit_code(findings: list[Finding]) -> int:
    """Return the exit code: 1 for any fault, else 3 for anything unknown, else 0."""
    levels = {finding.level for finding in findings}
    if "wrong" in levels:
        return FOUND_SOMETHING
    return UNREACHABLE if "unknown" in levels else FINE


def examine(patient: Patient, name: str, check: Check) -> list[Finding]:
    """Run one check of the stack ``patient``, and return its findings.

    If it cannot read something, the last finding is ``unknown`` and says so.
    """
    patient.books.store.deadline.begin()
    found: list[Finding] = []
    try:
        found.extend(check(patient))
    except UNANSWERED as error:
        what = f"could not be read: {type(error).__name__}: {error}"
        found.append(Finding(name, "unknown", what, "check your rights and the connection"))
    return found


def report(
    target: TargetStack, findings: list[Finding]
) -> tuple[dict[str, Any], list[RenderableType]]:
    """Return what the checks found, as data for --json and as tables for the terminal."""
    wrong = [finding for finding in findings if finding.level in ("wrong", "unknown")]
    answer = {
        "stack": target.stack_name,
        "findings": [finding.as_answer() for finding in findings],
        "wrong": len(wrong),
    }
    rows = [[SIGNS[finding.level], finding.check, finding.what] for finding in findings]
    title = f"{target.stack_name} ({target.settings.stage})"
    shown: list[RenderableType] = [table(title, ("level", "check", "finding"), rows)]
    if not wrong:
        return answer, [*shown, "Nothing to repair."]
    repairs = [
        f"{number}. {finding.check}: {finding.what}\n   {finding.repair}\n"
        for number, finding in enumerate(wrong, 1)
    ]
    return answer, [*shown, "What to do", *repairs]
