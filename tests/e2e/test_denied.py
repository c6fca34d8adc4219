import re
from collections.abc import Callable
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from support.stand import Stand

from infra.local.paths import ROOT

DECLARED: Final = re.findall(
    r"^  (\w+):\n    Type: AWS::Serverless::Function\n",
    (ROOT / "template.yaml").read_text(),
    re.MULTILINE,
)
ELSEWHERE: Final = "ReturnFromSignInFunction"
"""Only made with a Cognito pool, and the local stack has an issuer of its own.

Its role has no grant: tests/repo/test_rights.py.
"""
FUNCTIONS: Final = [name for name in DECLARED if name != ELSEWHERE]
REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
KEYS: Final = {
    "PaymentsTable": ("owner", "id"),
    "QuotasTable": ("user_id", "item"),
    "LedgerTable": ("user_id", "entry_id"),
    "WebhookEventsTable": ("subject", "fact_id"),
    "KeysTable": ("owner", "id"),
}
Call = tuple[str, str]
"""An action and the logical id of what it is done to."""

BEYOND: Final[dict[str, Call]] = {
    "ListPlansFunction": ("GetItem", "QuotasTable"),
    "CreateCheckoutFunction": ("UpdateItem", "QuotasTable"),
    "WebhookFunction": ("GetItem", "KeysTable"),
    "ConfirmPaymentFunction": ("GetSecretValue", "WebhookSecretsSecret"),
    "ListPaymentsFunction": ("UpdateItem", "PaymentsTable"),
    "ReadQuotaFunction": ("PutItem", "QuotasTable"),
    "DebitQuotaFunction": ("GetItem", "PaymentsTable"),
    "HoldQuotaFunction": ("DeleteItem", "LedgerTable"),
    "KeysFunction": ("DeleteItem", "QuotasTable"),
    "AuthorizeFunction": ("DeleteItem", "KeysTable"),
    "GrantQuotaFunction": ("GetSecretValue", "StripeKeySecret"),
    "AutoTopUpFunction": ("GetSecretValue", "WebhookSecretsSecret"),
    "NotifyFunction": ("GetItem", "QuotasTable"),
    "ReconcileFunction": ("DeleteItem", "PaymentsTable"),
    "RecoverFunction": ("GetSecretValue", "WebhookSecretsSecret"),
    "DescribeApiFunction": ("GetItem", "PaymentsTable"),
    "ServeSiteFunction": ("GetSecretValue", "StripeKeySecret"),
}
"""For each function the call beside its grant that would hurt most, or come first by mistake."""

WITHIN: Final[dict[str, Call]] = {
    "CreateCheckoutFunction": ("GetItem", "PaymentsTable"),
    "WebhookFunction": ("GetSecretValue", "WebhookSecretsSecret"),
    "ConfirmPaymentFunction": ("GetSecretValue", "StripeKeySecret"),
    "ListPaymentsFunction": ("GetItem", "PaymentsTable"),
    "ReadQuotaFunction": ("GetItem", "QuotasTable"),
    "DebitQuotaFunction": ("GetItem", "QuotasTable"),
    "HoldQuotaFunction": ("GetItem", "QuotasTable"),
    "KeysFunction": ("DeleteItem", "KeysTable"),
    "AuthorizeFunction": ("GetItem", "KeysTable"),
    "ReconcileFunction": ("UpdateItem", "PaymentsTable"),
    "RecoverFunction": ("GetItem", "WebhookEventsTable"),
    "GrantQuotaFunction": ("GetItem", "QuotasTable"),
    "AutoTopUpFunction": ("GetSecretValue", "StripeKeySecret"),
    "NotifyFunction": ("GetSecretValue", "NotifySecretsSecret"),
}
"""And one call that it needs. The others need none."""

NEVER: Final[tuple[Call, ...]] = (
    ("DeleteTable", "LedgerTable"),
    ("Scan", "QuotasTable"),
    ("Scan", "PaymentsTable"),
    ("PutSecretValue", "WebhookSecretsSecret"),
)


def _as_function(stand: Stand, function: str, service: str) -> Any:
    """A client with the function's own role, as Lambda would give it."""
    role = stand.boto("lambda").get_function_configuration(
        FunctionName=stand.resources()[function]
    )["Role"]
    given = stand.boto("sts").assume_role(RoleArn=role, RoleSessionName="denied")["Credentials"]
    return boto3.client(
        service,
        endpoint_url=stand.facts["aws_endpoint_url"],
        region_name=stand.facts["aws_region"],
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def _try(stand: Stand, function: str, call: Call) -> str:
    """Make the call with the function's role.

    Returns "" when it was carried out, the error's code otherwise.
    """
    action, resource = call
    name = stand.resources()[resource]
    row = {key: {"S": "nobody-of-the-denied-test"} for key in KEYS.get(resource, ())}
    acts: dict[str, Callable[[Any], Any]] = {
        "GetItem": lambda door: door.get_item(TableName=name, Key=row),
        "PutItem": lambda door: door.put_item(TableName=name, Item=row),
        "DeleteItem": lambda door: door.delete_item(TableName=name, Key=row),
        "Scan": lambda door: door.scan(TableName=name, Limit=1),
        "DeleteTable": lambda door: door.delete_table(TableName=name),
        "UpdateItem": lambda door: door.update_item(
            TableName=name,
            Key=row,
            UpdateExpression="SET note = :n",
            ExpressionAttributeValues={":n": {"S": "x"}},
        ),
        "TransactWriteItems": lambda door: door.transact_write_items(
            TransactItems=[{"Put": {"TableName": name, "Item": row}}]
        ),
        "GetSecretValue": lambda door: door.get_secret_value(SecretId=name),
        "PutSecretValue": lambda door: door.put_secret_value(SecretId=name, SecretString="{}"),
    }
    door = _as_function(stand, function, "secretsmanager" if "Secret" in action else "dynamodb")
    try:
        acts[action](door)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_every_function_has_its_line_here() -> None:
    """A new function must say what it may not do."""
    assert set(FUNCTIONS) == set(BEYOND)
    assert not set(BEYOND.items()) & set(WITHIN.items())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_call_beside_the_grant_is_denied(stand: Stand, function: str) -> None:
    assert _try(stand, function, BEYOND[function]) in REFUSED


@pytest.mark.parametrize("function", WITHIN)
def test_a_call_within_the_grant_is_carried_out(stand: Stand, function: str) -> None:
    """The same role, the same way: a refusal above is no accident of credentials."""
    assert _try(stand, function, WITHIN[function]) == ""


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("call", NEVER, ids=lambda call: f"{call[0]} {call[1]}")
def test_no_function_deletes_tables_reads_everybodys_rows_or_changes_secrets(
    stand: Stand, function: str, call: Call
) -> None:
    """Not one of them, whatever else it may do."""
    assert _try(stand, function, call) in REFUSED


def _queue(stand: Stand, function: str, url: str, action: str) -> str:
    """Ask about a queue with the function's role.

    Returns "" when it was carried out, the error's code otherwise.
    """
    door = _as_function(stand, function, "sqs")
    acts: dict[str, Callable[[], Any]] = {
        "ReceiveMessage": lambda: door.receive_message(QueueUrl=url),
        "DeleteMessage": lambda: door.delete_message(
            QueueUrl=url, ReceiptHandle="nobody-of-the-denied-test"
        ),
        "GetQueueAttributes": lambda: door.get_queue_attributes(
            QueueUrl=url, AttributeNames=["QueueArn"]
        ),
        "SendMessage": lambda: door.send_message(QueueUrl=url, MessageBody="{}"),
    }
    try:
        acts[action]()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize("action", ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"])
def test_recovery_takes_messages_from_its_own_queue_alone(stand: Stand, action: str) -> None:
    """The role that SAM makes for a function with a queue may empty every queue of the account."""
    other = stand.boto("sqs").create_queue(QueueName="another-product-of-the-denied-test")[
        "QueueUrl"
    ]
    for url in (other, stand.resources()["ParkedDeadLetterQueue"]):
        assert _queue(stand, "RecoverFunction", url, action) in REFUSED
    assert (
        _queue(stand, "RecoverFunction", stand.resources()["ParkedQueue"], "GetQueueAttributes")
        == ""
    )
    assert (
        _queue(stand, "RecoverFunction", stand.resources()["ParkedQueue"], "SendMessage") in REFUSED
    )
    assert _queue(stand, "WebhookFunction", stand.resources()["ParkedQueue"], action) in REFUSED


def test_a_checkout_cannot_put_a_whole_item(stand: Stand) -> None:
    """An update adds to what is there; a put would replace another's payment."""
    assert _try(stand, "CreateCheckoutFunction", ("PutItem", "PaymentsTable")) in REFUSED


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_writes_into_another_products_log(stand: Stand, function: str) -> None:
    """What Lambda itself writes for it goes into the group of this stack."""
    door = _as_function(stand, function, "logs")
    with pytest.raises(ClientError) as caught:
        door.create_log_group(logGroupName=f"another-product-{function}")
    assert caught.value.response["Error"]["Code"] in REFUSED


def test_a_transaction_is_no_way_around_a_grant(stand: Stand) -> None:
    """A put inside a transaction needs the right to put."""
    assert _try(stand, "ReadQuotaFunction", ("TransactWriteItems", "QuotasTable")) in REFUSED
    assert _try(stand, "WebhookFunction", ("TransactWriteItems", "LedgerTable")) in REFUSED
