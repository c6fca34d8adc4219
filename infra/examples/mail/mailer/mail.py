"""Mails a customer whose quota is low, or whose automatic top-ups fail or are off.

EventBridge calls this function at least once for each event, so a customer may get two mails. Where
that matters, remember the event's id in a table.
"""

import os
from typing import Any

import boto3

LOW = """You have {remaining} API calls left.

Buy more before they run out: {url}
"""
FAILED = """Your card was declined for an automatic top-up. Nothing was charged.

We try the card again within the next hours. You can switch automatic top-ups off here: {url}
"""
OFF = """{why}

No card is charged until you agree again. See what to do, or buy more: {url}
"""
REASONS = {
    "authentication_required": "Your bank wants you to approve an automatic top-up yourself.",
    "card_gone": "The card for your automatic top-ups is no longer saved.",
    "price_changed": "The plan of your automatic top-ups is not sold as you agreed to it.",
    "plan_removed": "The plan of your automatic top-ups is no longer sold.",
    "disputed": "Your bank asked for the money of an automatic top-up back.",
    "refunded": "An automatic top-up was refunded.",
}
DECLINED = "Your card was declined for an automatic top-up. Nothing was charged."


def handler(event: dict[str, Any], context: object) -> None:
    """Send the customer one mail about an event, or none if the event needs no mail.

    ``event["detail"]`` is the event as Topup sends it.
    """
    del context
    told = event["detail"]
    mail = _mail_for(told["type"], told["data"])
    address = _address_of(told["user_id"]) if mail else ""
    if not mail or not address:
        print(f"event {told['id']}: nothing to send")  # noqa: T201 - the function's log
        return
    subject, text = mail
    boto3.client("ses").send_email(
        Source=os.environ["SENDER"],
        Destination={"ToAddresses": [address]},
        Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}},
    )


def _mail_for(kind: str, data: dict[str, Any]) -> tuple[str, str] | None:
    """Return the mail's subject and text, or None if the event needs no mail.

    A ``top_up.failed`` with a reason needs none, because a ``top_up.off`` follows it.
    """
    url = os.environ["BUY_URL"]
    if kind == "quota.low":
        return f"{data['remaining']} API calls left", LOW.format(**data, url=url)
    if kind == "top_up.off":
        why = REASONS.get(data["reason"], DECLINED)
        return "Automatic top-ups are off", OFF.format(why=why, url=url)
    if kind == "top_up.failed" and not data["reason"]:  # with a reason, top_up.off comes too
        return "Your card was declined", FAILED.format(url=url)
    return None


def _address_of(user_id: str) -> str:
    """Return the customer's verified email address, or "" if there is none.

    ``user_id`` is the ``sub`` of a user in the Cognito pool.
    """
    escaped = user_id.replace("\\", "\\\\").replace('"', '\\"')
    found = boto3.client("cognito-idp").list_users(
        UserPoolId=os.environ["USER_POOL_ID"], Filter=f'sub = "{escaped}"', Limit=1
    )
    for user in found["Users"]:
        names = {row["Name"]: row["Value"] for row in user["Attributes"]}
        if names.get("email_verified") == "true":
            return str(names.get("email", ""))
    return ""
