"""The template in a second embedded AWS, moto's: as SAM makes it and as it is written, read back and compared with what it says."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from repo.declared import TEMPLATE
from repo.transformed import transformed
from support.expected import Expected, differences
from support.second import ACCOUNT, Second, second_aws
from support.second_aws.reading import READERS

from infra.local.paths import REGION

PROD: Final = {"Stage": "prod", "StripeMode": "live", "LogRetentionDays": "400", "WebhookConcurrency": "20"}
UPDATED: Final = {"Stage": "prod", "StripeMode": "live"}
STACKS: Final = {"transformed": {}, "plain": {}, "prod": PROD}
"""Each a stack in one account: by name, with its parameters."""
NOT_MADE: Final = {
    "AWS::Cognito::ManagedLoginBranding": "moto has no operation for it",
}
LEFT_OUT: Final = {
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::CloudFront::Distribution",
    "AWS::Route53::RecordSet",
    "AWS::SQS::QueuePolicy",
}
"""Made only with a domain, a firewall or an event bus of the seller's own."""
ELSEWHERE: Final = {"AWS::ApiGatewayV2::Api", "AWS::Lambda::Permission"}
"""They have tests of their own below."""
UNREAD: Final[Mapping[str, Mapping[str, str]]] = {
    "AWS::Lambda::Function": {
        "Code": "where SAM has put it; AWS gives back an address of its own",
        "Tags": "SAM's, and moto keeps none of those that CloudFormation gives",
        "SnapStart": "moto says None and Off whatever it was given",
    },
    "AWS::Lambda::EventInvokeConfig": {"Qualifier": "AWS gives it at the end of the ARN; moto gives the ARN alone"},
    "AWS::Cognito::UserPoolDomain": {"ManagedLoginVersion": "moto does not keep it"},
}
"""By type, what moto does not give back, and why that is no fault of the template's."""


def _plain() -> str:
    """template.yaml as `sam deploy` sends it: SAM's own types, and code in a bucket."""
    text, count = re.subn(r"CodeUri: \S+", "CodeUri: s3://bucket/key", TEMPLATE.read_text())
    assert count
    return text


def _code() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("handler.py", "")
    return file.getvalue()


def _parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """An account with all the stacks."""
    with second_aws(tmp_path_factory.mktemp("second") / "moto.log") as found:
        s3, cloudformation = found.client("s3"), found.client("cloudformation")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=_code())
        for stack, values in STACKS.items():
            body = _plain() if stack == "plain" else json.dumps(transformed())
            s3.put_object(Bucket="bucket", Key=stack, Body=body.encode())
            asked = {"TemplateURL": f"{found.url}/bucket/{stack}", "Capabilities": ["CAPABILITY_IAM"]}
            cloudformation.create_stack(StackName=stack, Parameters=_parameters(values), **asked)
        yield found


def _expected(aws: Second, stack: str, told: Mapping[str, str] | None = None) -> Expected:
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    pseudo = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": stack, "AWS::StackId": found["StackId"]}
    defaults = {name: str(row.get("Default", "")) for name, row in transformed()["Parameters"].items()}
    told = STACKS[stack] if told is None else told
    values = {**defaults, **told, **pseudo, "AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws"}
    return Expected(transformed(), values, aws.physical(stack))


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_made_whole(aws: Second, stack: str) -> None:
    """Every resource that its conditions let be made is there, but for those that this AWS has no operation for."""
    expected = _expected(aws, stack)
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    wanted = {
        name for row in {row["Type"] for row in transformed()["Resources"].values()} - set(NOT_MADE) for name in expected.of_type(row)
    }
    assert set(expected.physical) == wanted


def test_every_type_of_the_template_is_looked_at() -> None:
    """Or a reason says why not."""
    kinds = {row["Type"] for row in transformed()["Resources"].values()}
    assert kinds == set(READERS) | set(NOT_MADE) | LEFT_OUT | ELSEWHERE


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("stack", STACKS)
def test_what_stands_in_the_account_is_what_the_template_says(aws: Second, stack: str, kind: str) -> None:
    """Property by property, references worked out."""
    rows = _expected(aws, stack).of_type(kind)
    assert rows or kind in NOT_MADE
    physical = aws.physical(stack)
    wrong = []
    for name, row in rows.items():
        wanted = {key: value for key, value in row.items() if key not in UNREAD.get(kind, {})}
        wrong += differences(wanted, READERS[kind](aws, physical[name], row), name)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("stack", STACKS)
def test_every_route_of_the_description_is_a_route_of_the_api(aws: Second, stack: str) -> None:
    """MiniStack ignores the description; here it makes the routes, each with an integration that leads to its function."""
    expected, gateway = _expected(aws, stack), aws.client("apigatewayv2")
    api = expected.physical["HttpApi"]
    routes = {row["RouteKey"]: row["Target"].rpartition("/")[2] for row in gateway.get_routes(ApiId=api)["Items"]}
    body = expected.of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]
    told = {
        f"{method.upper()} {path}": row["x-amazon-apigateway-integration"]["uri"]
        for path, methods in body["paths"].items()
        for method, row in methods.items()
    }
    made = {key: gateway.get_integration(ApiId=api, IntegrationId=target)["IntegrationUri"] for key, target in routes.items()}
    assert made == told
    assert len(routes) > 15


@pytest.mark.parametrize("stack", STACKS)
def test_every_permission_names_who_may_call_and_from_where(aws: Second, stack: str) -> None:
    """As the policy of its function has it."""
    for name, row in _expected(aws, stack).of_type("AWS::Lambda::Permission").items():
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=row["FunctionName"])["Policy"])
        assert [found for found in policy["Statement"] if not differences(_statement(row), found)], (name, policy)


def _statement(row: Mapping[str, Any]) -> dict[str, Any]:
    """A permission as a statement of a policy."""
    source = {"Condition": {"ArnLike": {"AWS:SourceArn": row["SourceArn"]}}} if "SourceArn" in row else {}
    principal = row["Principal"] if row["Principal"] == "*" else {"Service": row["Principal"]}
    return {"Action": row["Action"], "Principal": principal, **source}


def test_production_and_development_differ_where_the_template_says_so(aws: Second) -> None:
    """And the tables of production cannot be deleted by mistake."""
    dynamodb = aws.client("dynamodb")
    for stack in ("transformed", "prod"):
        tables = _expected(aws, stack).of_type("AWS::DynamoDB::Table")
        found = [dynamodb.describe_table(TableName=aws.physical(stack)[name])["Table"] for name in tables]
        assert {row["DeletionProtectionEnabled"] for row in found} == {stack == "prod"}
        assert len(found) == 5


def test_the_two_ways_make_the_same_stack(aws: Second) -> None:
    """SAM in the account and SAM beforehand."""
    assert set(aws.physical("plain")) == set(aws.physical("transformed"))


def test_an_update_to_production_replaces_nothing(aws: Second) -> None:
    """The same resources, and tables and functions as the template now says. The others' updates are not moto's to show."""
    cloudformation = aws.client("cloudformation")
    asked = {"StackName": "updated", "TemplateURL": f"{aws.url}/bucket/transformed", "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.create_stack(**asked)
    before = aws.physical("updated")
    cloudformation.update_stack(**asked, Parameters=_parameters(UPDATED))
    assert aws.physical("updated") == before
    expected = _expected(aws, "updated", UPDATED)
    for kind in ("AWS::DynamoDB::Table", "AWS::Lambda::Function"):
        for name, row in expected.of_type(kind).items():
            wanted = {key: value for key, value in row.items() if key not in UNREAD.get(kind, {})}
            assert not differences(wanted, READERS[kind](aws, before[name], row), name)


def test_a_difference_is_noticed() -> None:
    """One that is missing, one that is another, and one too many in a list; what an account adds is none."""
    wanted = {"A": {"B": 1, "C": ["x"]}, "D": True}
    assert differences(wanted, {"A": {"B": 1, "C": ["x"], "E": 5}, "D": "true"}) == []
    assert differences(wanted, {"A": {"B": 2, "C": ["x", "y"]}}) == [".A.B: 1 is 2", ".A.C: ['x'] is ['x', 'y']", ".D: True is None"]
