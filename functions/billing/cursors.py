"""Encodes and decodes cursors.

A cursor is an opaque text that says where the next page of a list starts.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from billing.errors import BillingError

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
CURSOR_CHARS_MAX: Final = 4096
KEY_BYTES_MAX: Final = 1024
"""The most bytes of a range key:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""


def sealed(place: dict[str, Any]) -> str:
    """Return a place in a list as an opaque cursor.

    ``place`` has the members that ``opened`` returns again.
    """
    plain = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def opened(
    cursor: str, members: Mapping[str, Callable[[Any], bool]]
) -> dict[str, Any]:
    """Return the members of a cursor.

    ``members`` has a check for each. Raises ``invalid_request`` if one
    fails or is missing. A cursor is not signed. It names a place in the
    caller's own list only, because the owner comes from the token. A
    caller who forges a sum in it sees a wrong sum in that list only.
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

    Raises ValueError for a text that cannot be encoded in UTF-8.
    """
    return isinstance(value, str) and 0 < len(value.encode()) <= KEY_BYTES_MAX


def _bad_cursor() -> BillingError:
    return BillingError(
        "invalid_request", "cursor must be a next_cursor of an earlier answer"
    )
