"""Chooses which of the stack's addresses Stripe gets for the webhook."""

from collections.abc import Mapping
from typing import Final

OUTPUT_URLS: Final = ("WebhookFunctionUrl", "WebhookUrl")
"""The stack's outputs with the webhook's addresses. Stripe gets the first that the stack has,
because some regions have no function URLs.
"""


def same_url(one: str, other: str) -> bool:
    """Return whether two addresses are the same. A trailing slash does not matter."""
    return one.rstrip("/") == other.rstrip("/")


def addresses(outputs: Mapping[str, str], local_url: str) -> tuple[str, tuple[str, ...]]:
    """Return the webhook's URL to give to Stripe, and the webhook's further URLs.

    They are in the stack's ``outputs``; without any the result is "" and (). A local stack has only
    ``local_url``, which is "" in AWS.
    """
    own = [outputs[name] for name in OUTPUT_URLS if outputs.get(name)]
    if local_url:
        own = [local_url]
    return (own[0], tuple(own[1:])) if own else ("", ())
