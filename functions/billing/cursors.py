"""Encodes and decodes cursors: opaque texts that say where the next page of a list begins."""

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
    """Return a place in a list as an opaque cursor."""
    plain = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def opened(
    cursor: str, members: Mapping[str, Callable[[Any], bool]]
) -> dict[str, Any]:
    """Return the members of a cursor after checking each. Raises ``invalid_request``.

    A cursor is not signed. It names a place in the caller's own list, because the owner comes from
    the token. A caller who forges a sum in it sees a wrong sum in their own list only.
    """
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        place = json.loads(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
        found = {name: place[name] for name in members}
        is_right = all(
            is_such(found[name]) for name, is_such in members.items()
        )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _bad_cursor() from error
    if not is_right:
        raise _bad_cursor()
    return found


def is_key(value: object) -> bool:
    """Return whether DynamoDB accepts a value as a key.

    Raises ValueError for an unencodable text.
    """
    return isinstance(value, str) and 0 < len(value.encode()) <= KEY_BYTES_MAX


def _bad_cursor() -> BillingError:
    return BillingError(
        "invalid_request", "cursor must be a next_cursor of an earlier answer"
    )
