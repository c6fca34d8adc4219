"""Answers GET /hello: an example of a seller's own API.

It runs only for calls that Topup's authorizer has allowed. Each has cost one unit.
"""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer with the caller's id and the remaining units, as the authorizer passed them on."""
    del context
    caller = event["requestContext"]["authorizer"]["lambda"]
    body = {"hello": caller["user_id"], "remaining": int(caller["remaining"])}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
