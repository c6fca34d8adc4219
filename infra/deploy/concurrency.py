"""Proposes how many concurrent executions the webhook reserves, from the account's free ones.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

PARAMETER: Final = "WebhookConcurrency"
USUAL: Final = 20
"""The usual reserve of the webhook. It is enough for 400 events a second at 50 ms each, which is
many times what Stripe allows one account.

The template's default is 0, for new accounts.
"""
LEFT_MIN: Final = 100
"""The executions that Lambda always keeps for functions without a reserve. A new account has only
10 in all.
"""


def proposal(unreserved: int) -> tuple[int, str]:
    """Return how many executions to reserve, and a sentence about it for the operator.

    ``unreserved`` is how many concurrent executions the account has that no function has reserved.
    """
    reserved = max(0, min(USUAL, unreserved - LEFT_MIN))
    has = f"this account has {unreserved} concurrent executions that no function has reserved"
    if reserved == USUAL:
        return reserved, f"{PARAMETER}={reserved}: {has}."
    return reserved, (
        f"{PARAMETER}={reserved}, not {USUAL}: {has}, and Lambda keeps {LEFT_MIN} of them for all. "
        "A burst of other calls can make deliveries wait; Stripe delivers again. Ask AWS for more "
        "(Service Quotas, AWS Lambda, Concurrent executions), "
        f"then write {PARAMETER}={USUAL} into the stage's file and deploy again."
    )


def proposed(
    parameters: Mapping[str, str], connect: Callable[[], Any], own: int = 0
) -> tuple[Mapping[str, str], str]:
    """Return ``parameters`` with the webhook's reserved concurrency, and a sentence about it.

    If they have it already, or if Lambda does not answer, nothing is added, and the sentence says
    so. ``connect`` creates a client of Lambda. ``own`` is what the present stack has reserved,
    which can be reserved again, but which Lambda does not count as free.
    """
    if PARAMETER in parameters:
        return parameters, f"{PARAMETER}={parameters[PARAMETER]}, as configured."
    try:
        limits = connect().get_account_settings()["AccountLimit"]
    except (BotoCoreError, ClientError) as error:
        rule = f"{PARAMETER} may be {USUAL} only where that leaves {LEFT_MIN} for other functions"
        return parameters, f"{rule}; Lambda did not say: {error}"
    reserved, sentence = proposal(limits["UnreservedConcurrentExecutions"] + own)
    return {**parameters, PARAMETER: str(reserved)}, sentence
