"""The template's promises: deadlines that fit inside each other, books that are kept, no secret in clear."""

import json
from typing import Any

import pytest
from billing import gateway, patience, store
from repo.declared import functions, parameters, template

GATEWAY_SECONDS = 30
"""API Gateway's own limit: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
CONTRACT_FUNCTIONS = {
    *("CreateCheckoutFunction", "WebhookFunction", "ReadQuotaFunction", "DebitQuotaFunction", "HoldQuotaFunction", "ListPaymentsFunction"),
    *("ConfirmPaymentFunction", "ListPlansFunction", "ReconcileFunction", "RecoverFunction", "AuthorizeFunction", "KeysFunction"),
}
TABLES = ("PaymentsTable", "QuotasTable", "WebhookEventsTable", "LedgerTable", "KeysTable")


def _timeout(properties: dict[str, Any]) -> int:
    return int(properties.get("Timeout", template()["Globals"]["Function"]["Timeout"]))


def test_a_request_ends_before_its_function_is_killed_and_that_before_the_gateway_gives_up() -> None:
    """The last call may begin when the budget ends; then one call's own limits follow."""
    longest_call = max(gateway.CONNECT_SECONDS + gateway.READ_SECONDS, store.CONNECT_SECONDS + store.READ_SECONDS)
    for name, properties in functions().items():
        assert patience.BUDGET_SECONDS + longest_call < _timeout(properties), name
        if any(event["Type"] == "HttpApi" for event in properties.get("Events", {}).values()):
            assert _timeout(properties) < GATEWAY_SECONDS, name


def test_a_message_is_hidden_for_longer_than_six_runs_of_recovery() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html."""
    queue = template()["Resources"]["ParkedQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * _timeout(functions()["RecoverFunction"])


def test_the_stack_has_the_names_of_the_contract() -> None:
    """Others rely on them."""
    assert set(functions()) >= CONTRACT_FUNCTIONS
    assert set(template()["Outputs"]) >= {"ApiUrl", "WebhookUrl", "WebhookFunctionUrl"}
    assert set(template()["Resources"]) >= {*TABLES}


@pytest.mark.parametrize("name", TABLES)
def test_books_are_encrypted_restorable_and_kept(name: str) -> None:
    """On demand, too: idle costs nothing."""
    table = template()["Resources"][name]
    properties = table["Properties"]
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"]["SSEEnabled"]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert properties["DeletionProtectionEnabled"] == {"If": ["IsProd", True, False]}


def _statements(properties: dict[str, Any]) -> list[tuple[set[str], str]]:
    rows = [statement for policy in properties.get("Policies", []) for statement in policy["Statement"]]
    return [({*row["Action"]} if isinstance(row["Action"], list) else {row["Action"]}, json.dumps(row["Resource"])) for row in rows]


@pytest.mark.parametrize("name", functions())
def test_a_function_may_do_exact_actions_on_exact_resources(name: str) -> None:
    """No star, on either side."""
    for actions, resource in _statements(functions()[name]):
        assert not any("*" in action for action in actions)
        assert "*" not in resource


@pytest.mark.parametrize(
    "name", ["ListPaymentsFunction", "ReadQuotaFunction", "ListPlansFunction", "DescribeApiFunction", "ServeSiteFunction"]
)
def test_a_reading_function_cannot_write(name: str) -> None:
    """Nor read a secret."""
    for actions, _ in _statements(functions()[name]):
        assert actions <= {"dynamodb:GetItem", "dynamodb:Query"}


def test_only_reconciliation_scans_and_only_payments() -> None:
    """A scan reads everybody."""
    found = {(name, resource) for name, row in functions().items() for actions, resource in _statements(row) if "dynamodb:Scan" in actions}
    assert found == {("ReconcileFunction", '{"GetAtt": "PaymentsTable.Arn"}')}


def test_the_webhook_cannot_read_keys_or_stripes_key() -> None:
    """It speaks to nobody but the books."""
    everything = json.dumps([resource for _, resource in _statements(functions()["WebhookFunction"])])
    assert "KeysTable" not in everything
    assert "StripeKeySecret" not in everything


def test_nobody_may_delete_payments_or_ledger_entries() -> None:
    """Append-only means that no role can do otherwise."""
    for name, row in functions().items():
        for actions, resource in _statements(row):
            if "dynamodb:DeleteItem" in actions:
                assert "PaymentsTable" not in resource, name
                assert "LedgerTable" not in resource, name


def test_no_parameter_takes_a_secret() -> None:
    """Parameters are shown in the console."""
    assert not [name for name in parameters() if "secret" in name.lower() or "key" in name.lower()]
