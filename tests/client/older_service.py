"""Stands in for what the service does not know yet: ``at_least`` and ``key_id``.

To be deleted when the handlers take them. Until then a hold of what remains is a plain hold of as
many units, and a key is not looked at.
"""

import inspect
import json
from typing import Any, Final

import hold_quota
from billing.books import Books
from billing.quota import debits

KNOWS_KEYS: Final = "at_least" in inspect.getsource(hold_quota)


def translate(content: str | None, books: Books) -> str | None:
    """Return the body as the handlers of today take it."""
    if KNOWS_KEYS or not content:
        return content
    body: dict[str, Any] = json.loads(content)
    body.pop("key_id", None)
    if at_least := body.pop("at_least", None):
        remaining = debits.read(books, body["user_id"]).remaining
        body["units"] = max(at_least, min(body["units"], remaining))
    return json.dumps(body)
