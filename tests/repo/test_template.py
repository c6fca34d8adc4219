"""The template's promises: deadlines that fit inside each other, books that are kept, no secret in
clear.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import reconcile
import recover
from billing import deadline
from billing.payments import fact_queue
from billing.reconciliation import pages
from billing.storage import connection
from billing.stripe_api.connection import CONNECT_SECONDS, READ_SECONDS
from billing.stripe_api.events import SUBSCRIBED
from billing.wiring import secrets
from botocore.config import Config
from public import serve_site
from repo.declared import functions, parameters, template
from repo.transformed import transformed

GATEWAY_SECONDS = 30
"""API Gateway's own limit:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
CONTRACT_FUNCTIONS = {
    *(
        "CreateCheckoutFunction",
        "WebhookFunction",
        "ReadQuotaFunction",
        "DebitQuotaFunction",
        "HoldQuotaFunction",
        "ListPaymentsFunction",
    ),
    *(
        "ConfirmPaymentFunction",
        "ListPlansFunction",
        "ReconcileFunction",
        "RecoverFunction",
        "AuthorizeFunction",
        "KeysFunction",
        "NotifyFunction",
    ),
}
NAMES_WITHIN: Final = frozenset({"MetricName", "StageName", "UserPoolScopes.Name"})
"""What is named within a namespace, an API or a pool of its own."""
TABLES = (
    *("PaymentsTable", "QuotasTable", "WebhookEventsTable", "LedgerTable"),
    *("KeysTable", "NoticesTable"),
)


def _timeout(properties: dict[str, Any]) -> int:
    return int(properties.get("Timeout", template()["Globals"]["Function"]["Timeout"]))


def test_a_request_ends_before_its_function_is_killed_and_that_before_the_gateway_gives_up() -> (
    None
):
    """The last call may begin when the budget ends; then one call's own limits follow."""
    longest_call = max(
        CONNECT_SECONDS + READ_SECONDS,
        connection.CONNECT_SECONDS + connection.READ_SECONDS,
    )
    for name, properties in functions().items():
        assert deadline.BUDGET_SECONDS + longest_call < _timeout(properties), name
        if any(event["Type"] == "HttpApi" for event in properties.get("Events", {}).values()):
            assert _timeout(properties) < GATEWAY_SECONDS, name


def _longest(client: Config) -> int:
    """Of one call with all its attempts: botocore pauses for up to a second
    before the second one.
    """
    attempts = int(client.retries["total_max_attempts"])
    return attempts * int(client.connect_timeout + client.read_timeout) + attempts - 1


def test_a_delivery_is_kept_in_the_queue_before_its_function_is_killed_whatever_hangs() -> None:
    """DynamoDB until the budget ends, or the secret, which is read twice when a signature does not
    fit; the queue comes after either.
    """
    settling = deadline.BUDGET_SECONDS + connection.CONNECT_SECONDS + connection.READ_SECONDS
    reading = 2 * _longest(secrets.CLIENT)
    assert max(settling, reading) + _longest(fact_queue.CLIENT) < _timeout(
        functions()["WebhookFunction"]
    )


def test_recovery_stops_in_time_whatever_it_is_at() -> None:
    """One fact has its deadline and one last call, to whichever is slower; one account of the sweep
    is DynamoDB's alone.

    The rest of the sum: holds leave the facts time for more than one try, and are swept at all.
    """
    to_stripe, to_dynamodb = (
        CONNECT_SECONDS + READ_SECONDS,
        connection.CONNECT_SECONDS + connection.READ_SECONDS,
    )
    one_fact = deadline.BUDGET_SECONDS + max(to_stripe, to_dynamodb)
    one_account = deadline.BUDGET_SECONDS + to_dynamodb
    assert one_fact < recover.STOP_MS / 1000
    assert recover.STOP_MS / 1000 + one_account < recover.SWEEP_STOP_MS / 1000
    assert recover.SWEEP_STOP_MS / 1000 + one_fact < _timeout(functions()["RecoverFunction"])


def test_a_message_is_hidden_for_longer_than_six_runs_of_recovery() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html."""
    queue = template()["Resources"]["ParkedQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * _timeout(functions()["RecoverFunction"])


def test_the_stack_has_the_names_of_the_contract() -> None:
    assert set(functions()) >= CONTRACT_FUNCTIONS
    assert set(template()["Outputs"]) >= {"ApiUrl", "WebhookUrl", "WebhookFunctionUrl"}
    assert set(template()["Resources"]) >= {*TABLES}


def test_the_template_is_one_file_with_no_transform_within() -> None:
    """`sam deploy` writes Metadata into a transform's parameters, which
    AWS::Include does not know.
    """
    assert "Fn::Transform" not in json.dumps(template())
    assert "Transform" not in json.dumps(template()["Resources"])
    assert transformed()["Resources"]["OperatorDashboard"]["Type"] == "AWS::CloudWatch::Dashboard"


@pytest.mark.parametrize("name", TABLES)
def test_books_are_encrypted_restorable_and_kept(name: str) -> None:
    """On demand, too: idle costs nothing."""
    table = template()["Resources"][name]
    properties = table["Properties"]
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    # Encrypted anyhow; true alone is AWS's key in the account, which is charged for by the call,
    # and nobody has asked for it:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html
    named = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}
    assert properties["SSESpecification"] == {"If": ["HasKmsKey", named, {"SSEEnabled": False}]}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert properties["DeletionProtectionEnabled"] == {"If": ["IsProd", True, False]}


def test_events_by_eventbridge_are_off_by_default() -> None:
    """Without a bus there is no rule, and nobody but the functions' own roles may write to the
    queue.
    """
    assert parameters()["StripeEventBus"]["Default"] == ""
    assert template()["Conditions"]["HasStripeEventBus"] == {
        "Not": [{"Equals": [{"Ref": "StripeEventBus"}, ""]}]
    }
    made = {
        name: row
        for name, row in template()["Resources"].items()
        if row["Type"] in ("AWS::Events::Rule", "AWS::SQS::QueuePolicy")
    }
    assert {name: row.get("Condition") for name, row in made.items()} == {
        "StripeEventsRule": "HasStripeEventBus",
        "ParkedQueuePolicy": "HasStripeEventBus",
    }


def test_the_rule_passes_on_every_event_that_we_act_on_and_nothing_else() -> None:
    """From Stripe's own bus, of Stripe's own source, to the queue where facts are safe."""
    rule = template()["Resources"]["StripeEventsRule"]["Properties"]
    assert rule["EventBusName"] == {"Ref": "StripeEventBus"}
    assert rule["EventPattern"] == {
        "source": [{"prefix": fact_queue.STRIPES_SOURCE}],
        "detail-type": list(SUBSCRIBED),
    }
    assert [target["Arn"] for target in rule["Targets"]] == [{"GetAtt": "ParkedQueue.Arn"}]


def test_the_queue_takes_messages_from_the_rule_alone() -> None:
    """An event has no signature there: this is what proves that it is Stripe's."""
    policy = template()["Resources"]["ParkedQueuePolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "ParkedQueue"}]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"GetAtt": "ParkedQueue.Arn"},
            "Condition": {"ArnEquals": {"aws:SourceArn": {"GetAtt": "StripeEventsRule.Arn"}}},
        }
    ]


@pytest.mark.parametrize(
    ("bus", "is_stripes"),
    {
        "": True,
        "aws.partner/stripe.com/ed_61TENmadeUP_x-1": True,
        "default": False,
        "aws.partner/stripe.com": False,
        "aws.partner/stripe.com.example.net/ed_1": False,
        "arn:aws:events:eu-central-1:111122223333:event-bus/aws.partner/stripe.com/ed_1": False,
    }.items(),
)
def test_no_bus_but_stripes_can_be_named(bus: str, *, is_stripes: bool) -> None:
    """On a bus of one's own, whoever may put events there could write what they like, if its name
    began like Stripe's.
    """
    assert bool(re.fullmatch(parameters()["StripeEventBus"]["AllowedPattern"], bus)) is is_stripes


def test_users_are_kept_as_their_balances_are() -> None:
    """A balance belongs to a `sub`; a pool that is made anew gives every customer another one."""
    pool = template()["Resources"]["UserPool"]
    assert (pool["DeletionPolicy"], pool["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )
    assert pool["Properties"]["DeletionProtection"] == {"If": ["IsProd", "ACTIVE", "INACTIVE"]}


def _authorizer() -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"]["HttpApi"]["Properties"]["Auth"]["Authorizers"][
        "Jwt"
    ]["JwtConfiguration"]
    return found


def test_with_the_pool_a_backend_gets_tokens_that_the_service_routes_take() -> None:
    """By its own client, with a secret:
    https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html.
    """
    server = template()["Resources"]["UserPoolScopes"]["Properties"]
    granted = []
    for name in ("ServiceClient", "GrantClient"):
        client = template()["Resources"][name]["Properties"]
        assert client["AllowedOAuthFlows"] == ["client_credentials"]
        assert client["GenerateSecret"] is True
        granted.append(client["AllowedOAuthScopes"])
    assert granted == [[f"{server['Identifier']}/{row['ScopeName']}"] for row in server["Scopes"]]
    outputs = {"TokenUrl", "ServiceClientId", "GrantClientId", "UserPoolId"}
    assert set(template()["Outputs"]) >= outputs


def test_a_token_that_spends_gives_nothing_and_the_other_way_round() -> None:
    """A leaked token of the one kind must not do what the other may."""
    guards = {
        event["Properties"]["Path"]: event["Properties"]["Auth"]["AuthorizationScopes"]
        for row in functions().values()
        for event in row.get("Events", {}).values()
        if "AuthorizationScopes" in event["Properties"].get("Auth", {})
    }
    gives = {path for path in guards if path.startswith("/api/v1/quota/grants")}
    assert len(gives) == 2
    assert len(guards) == 6
    for path, scopes in guards.items():
        scope = "quota.grant" if path in gives else "quota.write"
        assert scopes == [scope, f"topup/{scope}"]


def test_reconciliation_looks_at_no_row_that_it_cannot_finish() -> None:
    """A row's calls, and after them the cursor's write."""
    row = deadline.BUDGET_SECONDS + CONNECT_SECONDS + READ_SECONDS
    cursor = deadline.BUDGET_SECONDS + connection.CONNECT_SECONDS + connection.READ_SECONDS
    assert (
        (row + cursor) * 1000
        < reconcile.STOP_MS
        < _timeout(functions()["ReconcileFunction"]) * 1000 / 2
    )
    assert pages.FAILED_IN_A_ROW_MAX * row < _timeout(functions()["ReconcileFunction"]) / 2, (
        "all of which may be in vain"
    )


def test_the_authorizer_takes_the_tokens_of_all_clients() -> None:
    """Cognito's access tokens have a `client_id` and no `aud`."""
    text = json.dumps(_authorizer()["audience"])
    assert '{"If": ["MakesUserPool", {"Ref": "UserPoolClient"}, {"Ref": "JwtAudience"}]}' in text
    for name in ("ServiceClient", "GrantClient"):
        assert (
            f'{{"If": ["MakesUserPool", {{"Ref": "{name}"}}, {{"Ref": "AWS::NoValue"}}]}}' in text
        )


def test_the_page_asks_for_exactly_the_scopes_that_its_client_has() -> None:
    """One more, and Cognito's sign-in page is an error. None of them lets a customer spend."""
    client = template()["Resources"]["UserPoolClient"]["Properties"]
    asked = re.findall(r'"scope": "([^"]+)"', Path(serve_site.__file__).read_text())
    assert [set(scopes.split()) for scopes in asked] == [set(client["AllowedOAuthScopes"])]
    assert (client["AllowedOAuthFlows"], client["GenerateSecret"]) == (["code"], False)


def test_a_sign_in_address_is_valid_for_every_name_of_a_stack() -> None:
    """Lower case, at most 63 characters, unique among all accounts: a stack's name may be none of
    it, its id is.
    """
    domain = template()["Resources"]["UserPoolDomain"]["Properties"]["Domain"]
    assert "AWS::StackName" not in json.dumps(domain)
    assert "AWS::StackId" in json.dumps(domain)


def test_two_stages_in_one_account_have_no_name_in_common() -> None:
    """After SAM's transform.

    Every resource is named by CloudFormation, by the stack's own name or id, or by a parameter.
    """
    named = {
        f"{logical}.{name}": value
        for logical, row in transformed()["Resources"].items()
        for name, value in row.get("Properties", {}).items()
        if re.search(r"(Name|Domain)$", name) and not {name, f"{logical}.{name}"} & NAMES_WITHIN
    }
    fixed = {
        name: value
        for name, value in named.items()
        if isinstance(value, str) or not {"Ref", "Fn::GetAtt"} & set(value)
    }
    assert {name for name, value in fixed.items() if "AWS::Stack" not in json.dumps(value)} == set()
    assert "UserPoolDomain.Domain" in fixed, "what this looks for is there"
    assert not [name for name, row in transformed()["Outputs"].items() if "Export" in row]


def test_function_logs_expire() -> None:
    """Lambda writes them where the template says, not into a group of its own making, which keeps
    them for ever.
    """
    for name in functions():
        told = transformed()["Resources"][name]["Properties"]["LoggingConfig"]["Fn::If"]
        assert told[:2] == ["IsAws", {"LogGroup": {"Ref": "FunctionLogs"}}]
    groups = {
        name: row["Properties"]
        for name, row in template()["Resources"].items()
        if row["Type"] == "AWS::Logs::LogGroup"
    }
    assert set(groups) == {"AccessLogs", "FunctionLogs"}
    assert all(row["RetentionInDays"] == {"Ref": "LogRetentionDays"} for row in groups.values())


def test_no_parameter_takes_a_secret() -> None:
    """Parameters are shown in the console. An ARN names a key and opens nothing."""
    assert not [name for name in parameters() if re.search("secret|key(?!arn$)", name.lower())]


RECEIVES_MAX: Final = 1000
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
(maxReceiveCount)"""
DAY_SECONDS: Final = 24 * 3600


def test_what_is_parked_survives_an_outage_of_a_day_and_is_kept_for_a_week_after() -> None:
    """A message that moves to the dead letters keeps the age that it has: one retention bounds
    both.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """
    queue, dead = (
        template()["Resources"][name]["Properties"]
        for name in ("ParkedQueue", "ParkedDeadLetterQueue")
    )
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    assert (
        DAY_SECONDS
        <= receives * queue["VisibilityTimeout"]
        <= dead["MessageRetentionPeriod"] - 7 * DAY_SECONDS
    )
    assert receives <= RECEIVES_MAX
    assert dead["MessageRetentionPeriod"] >= queue["MessageRetentionPeriod"]


def test_no_scheduled_run_is_tried_again_by_lambda() -> None:
    """The next one does the same; by itself Lambda adds two, up to six hours late.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    rows = transformed()["Resources"].values()
    found = {
        row["Properties"]["FunctionName"]["Ref"]: row["Properties"]
        for row in rows
        if row["Type"] == "AWS::Lambda::EventInvokeConfig"
    }
    pauses = {
        "ReconcileFunction": 3600,
        "RecoverFunction": 60,
        "NotifyFunction": 60,
        "AutoTopUpFunction": 60,
    }
    scheduled = {
        name
        for name, row in functions().items()
        if any(event["Type"] == "Schedule" for event in row.get("Events", {}).values())
    }
    assert scheduled == set(pauses)
    for name, pause_seconds in pauses.items():
        assert found[name]["MaximumRetryAttempts"] == 0
        assert found[name]["MaximumEventAgeInSeconds"] == pause_seconds, "later the next one is due"


def test_no_partition_is_written_down() -> None:
    """China and GovCloud have other ARNs."""
    assert "arn:aws:" not in json.dumps(template()["Resources"])


def test_a_role_that_uses_a_table_may_use_its_key() -> None:
    """Where a key is named: every role with a grant on a table, and no other."""
    resources = template()["Resources"]
    roles = [
        name
        for name, row in resources.items()
        if row["Type"] == "AWS::IAM::Role" and "dynamodb:" in json.dumps(row)
    ]
    policy = resources["TablesKeyPolicy"]
    assert policy["Condition"] == "HasKmsKey"
    assert [role["Ref"] for role in policy["Properties"]["Roles"]] == roles
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"] == {"Ref": "KmsKeyArn"}
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}}
    }
