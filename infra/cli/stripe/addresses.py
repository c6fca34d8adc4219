"""Chooses the webhook's address for Stripe among those of the stack."""

from collections.abc import Mapping
from typing import Final

OUTPUT_URLS: Final = ("WebhookFunctionUrl", "WebhookUrl")
"""Stripe gets the first that the stack has. Some regions have no Function URLs."""


def same_url(one: str, other: str) -> bool:
    """Whether both are the same address. Lambda's own URL has a trailing slash."""
    return one.rstrip("/") == other.rstrip("/")


def addresses(outputs: Mapping[str, str], local_url: str) -> tuple[str, tuple[str, ...]]:
    """Return the address for Stripe, and the other addresses of the same function.

    ``local_url`` is the only address of a local stack, and "" in AWS.
    """
    own = [outputs[name] for name in OUTPUT_URLS if outputs.get(name)]
    if local_url:
        own = [local_url]
    return (own[0], tuple(own[1:])) if own else ("", ())
