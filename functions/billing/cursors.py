"""Cursors: opaque texts that say where the next page of a list begins."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from billing.errors import BillingError

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
CURSOR_CHARS_MAX: Final = 4096
KEY_BYTES_MAX: Final = 1024
"""Of a sort key. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""


def sealed(place: dict[str, Any]) -> str:
    """A cursor: opaque to callers."""
    return (
        base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode())
        .decode()
        .rstrip("=")
    )


def opened(cursor: str, members: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Those members of the place that a cursor names, each tested.

    It is not signed: it names a place in the caller's own list only, the owner comes from the
    token. Who forges a sum is the only one to be shown it.
    """
    try:
        place = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
        found = {name: place[name] for name in members}
        is_right = all(is_such(found[name]) for name, is_such in members.items())
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _bad_cursor() from error
    if not is_right:
        raise _bad_cursor()
    return found


def is_key(value: object) -> bool:
    """A text that DynamoDB takes for a key. Raises ValueError for one that cannot be encoded."""
    return isinstance(value, str) and 0 < len(value.encode()) <= KEY_BYTES_MAX


def _bad_cursor() -> BillingError:
    return BillingError("invalid_request", "cursor must be a next_cursor of an earlier answer")
