"""How many concurrent executions the webhook can have to itself: asked of Lambda before SAM asks the operator.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

PARAMETER: Final = "WebhookConcurrency"
USUAL: Final = 20
"""At 50 ms a settlement 400 events a second, many times what Stripe lets anybody sell.

The template's default is 0, for new accounts.
"""
LEFT_MIN: Final = 100
"""Lambda refuses to leave fewer to the functions that reserve none. A new account has 10 in all."""


def proposal(unreserved: int) -> tuple[int, str]:
    """What to set aside of ``unreserved`` executions, and a sentence about it."""
    reserved = max(0, min(USUAL, unreserved - LEFT_MIN))
    if reserved == USUAL:
        return (
            reserved,
            f"{PARAMETER}={reserved}: this account has {unreserved} concurrent executions that no function has reserved.",
        )
    return reserved, (
        f"{PARAMETER}={reserved}, not {USUAL}: this account has {unreserved} concurrent executions that no function has reserved, and "
        f"Lambda keeps {LEFT_MIN} of them for all. A burst of other calls can make deliveries wait; Stripe delivers again. Ask AWS for "
        f"more (Service Quotas, AWS Lambda, Concurrent executions), then write {PARAMETER}={USUAL} into the stage's file and deploy again."
    )


def proposed(
    parameters: Mapping[str, str], connect: Callable[[], Any], own: int = 0
) -> tuple[Mapping[str, str], str]:
    """``parameters`` with a proposal, unless they have a value, or Lambda (``connect`` makes its client) does not say what there is.

    ``own``: what the stack that is there has reserved already; Lambda does not count it among the unreserved.
    """
    if PARAMETER in parameters:
        return parameters, f"{PARAMETER}={parameters[PARAMETER]}, as it was told before."
    try:
        unreserved = connect().get_account_settings()["AccountLimit"][
            "UnreservedConcurrentExecutions"
        ]
    except (BotoCoreError, ClientError) as error:
        return (
            parameters,
            f"{PARAMETER} may be {USUAL} only where that leaves {LEFT_MIN} for other functions; Lambda did not say: {error}",
        )
    reserved, sentence = proposal(unreserved + own)
    return {**parameters, PARAMETER: str(reserved)}, sentence
