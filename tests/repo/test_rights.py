"""What each function may do, in the template as CloudFormation gets it: after SAM's transform,
which adds roles and policies of its own.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from billing import storage
from repo.declared import functions
from repo.transformed import transformed

READS_AND_WRITES: Final = "GetItem UpdateItem"
LOTS: Final = {
    "QuotasTable": "DeleteItem GetItem Query UpdateItem",
    "LedgerTable": "GetItem Query UpdateItem",
}
"""A settlement reads an account's lots, deletes those that are used up, and what expired."""
CROSSING: Final = {
    **dict.fromkeys(("NoticesTable", "PaymentsTable"), "UpdateItem"),
    "TopUpQueue": "SendMessage",
}
"""For the write that takes an account over a threshold: what it tells, and the charge it opens."""
GRANTS: Final[dict[str, dict[str, str]]] = {
    "ListPlansFunction": {},
    "CreateCheckoutFunction": {
        **dict.fromkeys(("PaymentsTable", "WebhookEventsTable"), READS_AND_WRITES),
        "StripeKeySecret": "GetSecretValue",
    },
    "WebhookFunction": {
        "NoticesTable": "UpdateItem",
        "PaymentsTable": READS_AND_WRITES,
        **LOTS,
        "WebhookEventsTable": "DeleteItem GetItem UpdateItem",
        "ParkedQueue": "SendMessage",
        "WebhookSecretsSecret": "GetSecretValue",
    },
    "ConfirmPaymentFunction": {
        "NoticesTable": "UpdateItem",
        "PaymentsTable": READS_AND_WRITES,
        **LOTS,
        "WebhookEventsTable": "DeleteItem GetItem UpdateItem",
        "ParkedQueue": "SendMessage",
        "StripeKeySecret": "GetSecretValue",
    },
    "ListPaymentsFunction": {"PaymentsTable": "GetItem Query"},
    "ReadQuotaFunction": {"QuotasTable": "GetItem Query", "LedgerTable/index/by_time": "Query"},
    "DebitQuotaFunction": {
        "QuotasTable": "DeleteItem GetItem Query UpdateItem",
        "LedgerTable": "UpdateItem",
        **CROSSING,
        "KeysTable": "GetItem UpdateItem",
    },
    "HoldQuotaFunction": {
        "QuotasTable": "DeleteItem GetItem Query UpdateItem",
        "LedgerTable": "UpdateItem",
        **CROSSING,
        "KeysTable": "GetItem UpdateItem",
    },
    "KeysFunction": {
        "KeysTable": "DeleteItem GetItem Query UpdateItem",
        "QuotasTable": "GetItem Query UpdateItem",
        "LedgerTable": "UpdateItem",
    },
    "GrantQuotaFunction": {
        "QuotasTable": "DeleteItem GetItem Query UpdateItem",
        "LedgerTable": READS_AND_WRITES,
        **dict.fromkeys(("NoticesTable", "PaymentsTable"), "UpdateItem"),
    },
    "AuthorizeFunction": {
        "KeysTable": "GetItem UpdateItem",
        "QuotasTable": "DeleteItem GetItem Query UpdateItem",
        "LedgerTable": "UpdateItem",
        **CROSSING,
    },
    "AutoTopUpFunction": {
        "NoticesTable": "UpdateItem",
        "PaymentsTable": "ConditionCheckItem GetItem UpdateItem",
        **LOTS,
        "QuotasTable/index/open_holds": "Query",
        "WebhookEventsTable": "DeleteItem GetItem UpdateItem",
        "TopUpQueue": "DeleteMessage GetQueueAttributes ReceiveMessage SendMessage",
        "ParkedQueue": "SendMessage",
        "StripeKeySecret": "GetSecretValue",
    },
    "ReconcileFunction": {
        "NoticesTable": "UpdateItem",
        "PaymentsTable": READS_AND_WRITES,
        "PaymentsTable/index/unseen": "Query",
        **LOTS,
        "WebhookEventsTable": "DeleteItem GetItem UpdateItem",
        "StripeKeySecret": "GetSecretValue",
    },
    "RecoverFunction": {
        "NoticesTable": "UpdateItem",
        "PaymentsTable": READS_AND_WRITES,
        **LOTS,
        "WebhookEventsTable": "DeleteItem GetItem Query UpdateItem",
        "QuotasTable/index/open_holds": "Query",
        "ParkedQueue": "DeleteMessage GetQueueAttributes ReceiveMessage",
        "StripeKeySecret": "GetSecretValue",
    },
    "NotifyFunction": {
        "NoticesTable": READS_AND_WRITES,
        "NoticesTable/index/due_notices": "Query",
        "NoticesTable/stream": "DescribeStream GetRecords GetShardIterator ListStreams",
    },
    "DescribeApiFunction": {},
    "ServeSiteFunction": {},
    "ReturnFromSignInFunction": {},
}
"""Everything, but for what all of them may: write their log lines and traces."""
STREAM: Final = "${NoticesTable.Arn}/stream/*"
"""As Lambda asks for it: a stream's name is the moment at which it was made.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.Lambda.Tutorial.html"""
FUNCTIONS: Final = tuple(functions())
RUNNING: Final = {
    "FunctionLogs": "CreateLogStream PutLogEvents",
    "*": "PutTelemetryRecords PutTraceSegments",
}
"""X-Ray's two have no narrower resource:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html."""


def _role(function: str) -> dict[str, Any]:
    """The role that the function runs with; SAM's own, should the template name none."""
    resources = transformed()["Resources"]
    name = resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def _documents(function: str) -> list[dict[str, Any]]:
    """Its policies, its own and those that it shares.

    One of AWS's own, by its ARN, has no resource here and is a failure.
    """
    role, resources = _role(function), transformed()["Resources"]
    shared = [
        resources[arn["Ref"]]["Properties"]["PolicyDocument"]
        for arn in role.get("ManagedPolicyArns", [])
        if isinstance(arn, dict)
    ]
    return [*shared, *(row["PolicyDocument"] for row in role.get("Policies", []))]


def _grants(function: str) -> dict[str, str]:
    """Actions by resource, each without its service."""
    found: dict[str, set[str]] = {}
    for statement in (
        statement for document in _documents(function) for statement in document["Statement"]
    ):
        assert statement["Effect"] == "Allow"
        for resource in _several(statement["Resource"]):
            found.setdefault(_named(resource), set()).update(
                action.partition(":")[2] for action in _several(statement["Action"])
            )
    return {resource: " ".join(sorted(actions)) for resource, actions in found.items()}


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(resource: Any) -> str:
    """``QuotasTable/index/open_holds``; a text of its own, such as ``*`` or a
    whole ARN, as it is.
    """
    if isinstance(resource, str):
        return resource
    if "Fn::GetAtt" in resource:
        name, attribute = resource["Fn::GetAtt"]
        assert attribute in ("Arn", "Id"), resource
        return str(name)
    assert list(resource) == ["Fn::Sub"], resource
    if resource["Fn::Sub"] == STREAM:
        return "NoticesTable/stream"
    named = re.fullmatch(
        r"\$\{(\w+Table)\.Arn\}\$\{TableSuffix\}(/index/\w+)?", resource["Fn::Sub"]
    )
    assert named, f"{resource} would be no right on a restored table"
    return named[1] + (named[2] or "")


def test_every_function_has_a_role_of_its_own() -> None:
    """And the same trust policy: only Lambda."""
    resources = transformed()["Resources"]
    assert len(
        {resources[name]["Properties"]["Role"]["Fn::GetAtt"][0] for name in FUNCTIONS}
    ) == len(FUNCTIONS)
    for name in FUNCTIONS:
        (statement,) = _role(name)["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_has_a_policy_of_awss_own(name: str) -> None:
    """They name no resource: SAM gives a function with a queue the right to empty every queue of
    the account.
    """
    assert [
        arn for arn in _role(name).get("ManagedPolicyArns", []) if not isinstance(arn, dict)
    ] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_do_exact_actions_on_exact_resources(name: str) -> None:
    """These and no others. A new function gets a role in the template, and a line above."""
    assert _grants(name) == GRANTS[name] | RUNNING


@pytest.mark.parametrize(
    ("name", "action", "resource"),
    [
        (
            "NotifyUrlPolicy",
            "secretsmanager:GetSecretValue",
            {"Fn::GetAtt": ["NotifySecretsSecret", "Id"]},
        ),
        (
            "NotifyBusPolicy",
            "events:PutEvents",
            {
                "Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
                ":event-bus/${NotifyBus}"
            },
        ),
    ],
)
def test_a_way_out_of_the_stack_is_one_functions_right(
    name: str, action: str, resource: dict[str, Any]
) -> None:
    """Only where the way is switched on (tests/repo/test_conditions.py)."""
    policy = transformed()["Resources"][name]["Properties"]
    assert policy["Roles"] == [{"Ref": "NotifyFunctionRole"}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": action, "Resource": resource}


def test_no_grant_has_a_star() -> None:
    """On either side, but for what X-Ray knows no resource for, and the one table's stream."""
    for name in FUNCTIONS:
        text = json.dumps(_documents(name)).replace(STREAM, "")
        assert (
            text.count("*")
            == text.count('"xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"')
            == 1
        ), name


def test_no_right_is_given_that_the_code_never_uses() -> None:
    """The store writes by updates only: an item that is put would forget what others have added to
    it.
    """
    source = "".join(path.read_text() for path in Path(*storage.__path__).glob("*.py"))
    used = {
        word
        for word in (
            "GetItem",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "Query",
            "Scan",
            "BatchGetItem",
        )
        if f'"{word}"' in source
    }
    assert '{"Delete": body}' in source
    assert '"ConditionCheck" if write.is_check' in source
    used.add("ConditionCheckItem")
    granted = {
        action
        for name in FUNCTIONS
        for table, actions in _grants(name).items()
        if "Table" in table and not table.endswith("/stream")
        for action in actions.split()
    }
    assert granted == (used | {"DeleteItem"}) - {"Scan"}


@pytest.mark.parametrize(
    "name",
    [
        "ListPaymentsFunction",
        "ReadQuotaFunction",
        "ListPlansFunction",
        "DescribeApiFunction",
        "ServeSiteFunction",
    ],
)
def test_a_reading_function_cannot_write(name: str) -> None:
    for resource, actions in _grants(name).items():
        assert resource in RUNNING or set(actions.split()) <= {"GetItem", "Query"}


def test_no_function_scans() -> None:
    """A scan reads everybody, and takes longer with every payment that was ever made.

    Operators do, with rights of their own.
    """
    assert not [
        name for name in FUNCTIONS for actions in _grants(name).values() if "Scan" in actions
    ]


def test_the_webhook_cannot_read_keys_or_stripes_key() -> None:
    """It calls nothing but the books."""
    assert not {"KeysTable", "StripeKeySecret"} & set(_grants("WebhookFunction"))


def test_no_function_may_delete_payments_or_ledger_entries() -> None:
    """Append-only means that no role can do otherwise."""
    for name in FUNCTIONS:
        for resource, actions in _grants(name).items():
            assert "DeleteItem" not in actions or resource.partition("/")[0] not in (
                "PaymentsTable",
                "LedgerTable",
            ), name
