"""Mails a customer whose quota is low.

EventBridge calls this function at least once for each event, so a customer may get two mails. Where
that matters, remember the event's id in a table.
"""

import os
from typing import Any

import boto3

TEXT = """You have {remaining} API calls left.

Buy more before they run out: {url}
"""


def handler(event: dict[str, Any], context: object) -> None:
    """Send one mail. The detail is the event as Topup tells it."""
    del context
    told = event["detail"]
    address = _address_of(told["user_id"])
    if not address:
        print(f"event {told['id']}: the customer has no address")  # noqa: T201 - the function's log
        return
    text = TEXT.format(**told["data"], url=os.environ["BUY_URL"])
    boto3.client("ses").send_email(
        Source=os.environ["SENDER"],
        Destination={"ToAddresses": [address]},
        Message={
            "Subject": {"Data": f"{told['data']['remaining']} API calls left"},
            "Body": {"Text": {"Data": text}},
        },
    )


def _address_of(user_id: str) -> str:
    """Return the customer's verified address, or "". Topup's user id is the token's ``sub``."""
    escaped = user_id.replace("\\", "\\\\").replace('"', '\\"')
    found = boto3.client("cognito-idp").list_users(
        UserPoolId=os.environ["USER_POOL_ID"], Filter=f'sub = "{escaped}"', Limit=1
    )
    for user in found["Users"]:
        names = {row["Name"]: row["Value"] for row in user["Attributes"]}
        if names.get("email_verified") == "true":
            return str(names.get("email", ""))
    return ""
