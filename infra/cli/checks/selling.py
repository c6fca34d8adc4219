"""The doctor's questions about selling: what is for sale, and whether the key may do what the functions do with it."""

from collections.abc import Iterator
from typing import Final

from billing.payments.plans import catalogue

from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.account import KeyRefusedError

LISTS: Final = ("checkout/sessions", "refunds", "disputes")
"""What reconciliation lists: https://docs.stripe.com/keys/restricted-api-keys."""


def prices(patient: Patient) -> Iterator[Finding]:
    """Every price of this checkout's catalogue is one that Stripe charges."""
    del patient
    try:
        plans = catalogue()
    except ValueError as error:
        repair = "fix functions/billing/payments/plans.json and deploy; https://docs.stripe.com/currencies has the least amounts"
        yield Finding("prices", "wrong", str(error), repair)
        return
    what = f"{len(plans)} plans, none below or above what Stripe charges in its currency"
    yield Finding("prices", "ok", what)


def rights(patient: Patient) -> Iterator[Finding]:
    """A restricted key may lack a right, which shows nowhere until a buyer or a reconciliation needs it."""
    found = list(_lacking(patient))
    yield from found or [
        Finding("stripe key's rights", "ok", "it may make checkouts and read what is reconciled")
    ]


def _lacking(patient: Patient) -> Iterator[Finding]:
    for name in LISTS:
        try:
            patient.account.can_list(name)
        except KeyRefusedError as error:
            if error.is_unknown:
                return  # the check of the key itself says so
            repair = f"give the restricted key read access to {name.replace('/', ' ')}"
            yield Finding(
                "stripe key's rights", "wrong", f"it may not list {name}: {error}", repair
            )
    try:
        patient.account.can_create_sessions()
    except KeyRefusedError as error:
        repair = "give the restricted key write access to checkout sessions: every checkout fails without it"
        yield Finding("stripe key's rights", "wrong", f"it may not make checkouts: {error}", repair)
