"""Where a stack's webhook answers: which address Stripe is given, and which others there are."""

from collections.abc import Mapping
from typing import Final

OUTPUT_URLS: Final = ("WebhookFunctionUrl", "WebhookUrl")
"""Stripe is given the first that the stack has. In some regions there are no Function URLs."""


def same_url(one: str, other: str) -> bool:
    """Lambda's own has a slash at the end."""
    return one.rstrip("/") == other.rstrip("/")


def addresses(outputs: Mapping[str, str], stands: str) -> tuple[str, tuple[str, ...]]:
    """Where Stripe shall deliver, and where the same function answers too.

    ``stands``: the only address on a stand, "" in AWS.
    """
    own = [stands] if stands else [outputs[name] for name in OUTPUT_URLS if outputs.get(name)]
    return (own[0], tuple(own[1:])) if own else ("", ())
