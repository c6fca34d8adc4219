"""Answers GET /hello: the seller's own code.

It runs only for calls that Topup has let through, and each has cost one unit.
"""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer with the caller and the remaining units. The authorizer sends strings only."""
    del context
    caller = event["requestContext"]["authorizer"]["lambda"]
    body = {"hello": caller["user_id"], "remaining": int(caller["remaining"])}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
