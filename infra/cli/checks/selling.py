"""Checks the prices of the plans, and the permissions of a restricted Stripe key."""

from collections.abc import Iterator
from typing import Final

from billing.payments.plans import catalogue

from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.account import KeyRefusedError

LISTS: Final = ("checkout/sessions", "payment_intents", "refunds", "disputes")
"""The objects that reconciliation lists, so the key needs read access to them:
https://docs.stripe.com/keys/restricted-api-keys.
"""
TOP_UPS: Final = {
    "customers": "customers",
    "payment_methods/pm_topup_doctor/detach": "payment methods",
    "payment_intents": "payment intents",
}
"""The API paths that automatic top-ups write to, and the names of the objects.

The key needs write access to them, which includes read access:
https://docs.stripe.com/keys/restricted-api-keys.
"""
RIGHTS: Final = "stripe key's rights"


def prices(patient: Patient) -> Iterator[Finding]:
    """Check that Stripe can charge the price of every plan in plans.json.

    It reads the file of this working copy, and asks neither Stripe nor the stack. An invalid file
    is a fault too.
    """
    del patient
    try:
        plans = catalogue()
    except ValueError as error:
        repair = (
            "fix functions/billing/payments/plans.json and deploy;"
            " https://docs.stripe.com/currencies has the minimum amounts"
        )
        yield Finding("prices", "wrong", str(error), repair)
        return
    what = f"{len(plans)} plans, none below or above what Stripe charges in its currency"
    yield Finding("prices", "ok", what)


def rights(patient: Patient) -> Iterator[Finding]:
    """Check that a restricted Stripe key has every permission that the stack needs.

    Otherwise a checkout, a reconciliation or an automatic top-up would fail later.
    """
    found = list(_missing_rights(patient))
    yield from found or [Finding(RIGHTS, "ok", "it may make checkouts and read for reconciliation")]


def _missing_rights(patient: Patient) -> Iterator[Finding]:
    for name in LISTS:
        try:
            patient.account.can_list(name)
        except KeyRefusedError as error:
            if error.is_unknown:
                return  # the check of the key itself reports it
            repair = f"give the restricted key read access to {name.replace('/', ' ')}"
            yield Finding(RIGHTS, "wrong", f"it may not list {name}: {error}", repair)
    try:
        patient.account.can_create_sessions()
    except KeyRefusedError as error:
        repair = (
            "give the restricted key write access to checkout sessions:"
            " every checkout fails without it"
        )
        yield Finding(RIGHTS, "wrong", f"it may not make checkouts: {error}", repair)
    if patient.target.settings.auto_top_up:
        yield from _missing_for_top_ups(patient)


def _missing_for_top_ups(patient: Patient) -> Iterator[Finding]:
    for path, name in TOP_UPS.items():
        try:
            patient.account.can_write(path)
        except KeyRefusedError as error:
            if error.is_unknown:
                return
            repair = (
                f"give the restricted key write access to {name}, or deploy with AutoTopUp=false:"
                " every automatic top-up fails without it"
            )
            yield Finding(RIGHTS, "wrong", f"it may not write {name}: {error}", repair)
