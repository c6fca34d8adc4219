"""The template in a second embedded AWS, moto's, as SAM makes it and as it is written.

What stands in the account is read back and compared with what the template says.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from repo.transformed import transformed
from support.expected import differences
from support.second import Second
from support.second_aws.reading import READERS
from support.second_stacks import STACKS, expected, parameters, second_stacks

UPDATED: Final = {"Stage": "prod", "StripeMode": "live"}
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
    "AWS::Lambda::EventInvokeConfig": {
        "Qualifier": "AWS gives it at the end of the ARN; moto gives the ARN alone"
    },
    "AWS::Cognito::UserPoolDomain": {"ManagedLoginVersion": "moto does not keep it"},
}
"""By type, what moto does not give back, and why that is no fault of the template's."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """An account with all the stacks."""
    with second_stacks(tmp_path_factory.mktemp("second") / "moto.log") as found:
        yield found


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_made_whole(aws: Second, stack: str) -> None:
    """What its conditions let be made is there, but for what this AWS has no operation for."""
    wished = expected(aws, stack)
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    wanted = {
        name
        for row in {row["Type"] for row in transformed()["Resources"].values()} - set(NOT_MADE)
        for name in wished.of_type(row)
    }
    assert set(wished.physical) == wanted


def test_every_type_of_the_template_is_looked_at() -> None:
    """Or a reason says why not."""
    kinds = {row["Type"] for row in transformed()["Resources"].values()}
    assert kinds == set(READERS) | set(NOT_MADE) | LEFT_OUT | ELSEWHERE


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("stack", STACKS)
def test_the_accounts_resources_are_those_of_the_template(
    aws: Second, stack: str, kind: str
) -> None:
    """Property by property, references worked out."""
    rows = expected(aws, stack).of_type(kind)
    assert rows or kind in NOT_MADE
    physical = aws.physical(stack)
    wrong = []
    for name, row in rows.items():
        wanted = {key: value for key, value in row.items() if key not in UNREAD.get(kind, {})}
        wrong += differences(wanted, READERS[kind](aws, physical[name], row), name)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("stack", STACKS)
def test_every_route_of_the_description_is_a_route_of_the_api(aws: Second, stack: str) -> None:
    """MiniStack ignores the description; here it makes routes that lead to their functions."""
    wished, gateway = expected(aws, stack), aws.client("apigatewayv2")
    api = wished.physical["HttpApi"]
    routes = {
        row["RouteKey"]: row["Target"].rpartition("/")[2]
        for row in gateway.get_routes(ApiId=api)["Items"]
    }
    body = wished.of_type("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]
    told = {
        f"{method.upper()} {path}": row["x-amazon-apigateway-integration"]["uri"]
        for path, methods in body["paths"].items()
        for method, row in methods.items()
    }
    made = {
        key: gateway.get_integration(ApiId=api, IntegrationId=target)["IntegrationUri"]
        for key, target in routes.items()
    }
    assert made == told
    assert len(routes) > 15


@pytest.mark.parametrize("stack", STACKS)
def test_every_permission_names_who_may_call_and_from_where(aws: Second, stack: str) -> None:
    for name, row in expected(aws, stack).of_type("AWS::Lambda::Permission").items():
        policy = json.loads(
            aws.client("lambda").get_policy(FunctionName=row["FunctionName"])["Policy"]
        )
        assert [
            found for found in policy["Statement"] if not differences(_statement(row), found)
        ], (name, policy)


def _statement(row: Mapping[str, Any]) -> dict[str, Any]:
    """A permission as a statement of a policy."""
    source = (
        {"Condition": {"ArnLike": {"AWS:SourceArn": row["SourceArn"]}}}
        if "SourceArn" in row
        else {}
    )
    principal = row["Principal"] if row["Principal"] == "*" else {"Service": row["Principal"]}
    return {"Action": row["Action"], "Principal": principal, **source}


def test_production_and_development_differ_where_the_template_says_so(aws: Second) -> None:
    """And the tables of production cannot be deleted by mistake."""
    dynamodb = aws.client("dynamodb")
    for stack in ("transformed", "prod"):
        tables = expected(aws, stack).of_type("AWS::DynamoDB::Table")
        found = [
            dynamodb.describe_table(TableName=aws.physical(stack)[name])["Table"] for name in tables
        ]
        assert {row["DeletionProtectionEnabled"] for row in found} == {stack == "prod"}
        assert len(found) == 6


def test_the_two_ways_make_the_same_stack(aws: Second) -> None:
    """SAM in the account and SAM beforehand."""
    assert set(aws.physical("plain")) == set(aws.physical("transformed"))


def test_an_update_to_production_replaces_nothing(aws: Second) -> None:
    """The same resources, and tables and functions as the template now says."""
    cloudformation = aws.client("cloudformation")
    asked = {
        "StackName": "updated",
        "TemplateURL": f"{aws.url}/bucket/transformed",
        "Capabilities": ["CAPABILITY_IAM"],
    }
    cloudformation.create_stack(**asked)
    before = aws.physical("updated")
    cloudformation.update_stack(**asked, Parameters=parameters(UPDATED))
    assert aws.physical("updated") == before
    wished = expected(aws, "updated", UPDATED)
    for kind in ("AWS::DynamoDB::Table", "AWS::Lambda::Function"):
        for name, row in wished.of_type(kind).items():
            wanted = {key: value for key, value in row.items() if key not in UNREAD.get(kind, {})}
            assert not differences(wanted, READERS[kind](aws, before[name], row), name)


def test_a_difference_is_noticed() -> None:
    """Missing, changed, and one too many in a list; what an account adds is none."""
    wanted = {"A": {"B": 1, "C": ["x"]}, "D": True}
    assert differences(wanted, {"A": {"B": 1, "C": ["x"], "E": 5}, "D": "true"}) == []
    assert differences(wanted, {"A": {"B": 2, "C": ["x", "y"]}}) == [
        ".A.B: 1 is 2",
        ".A.C: ['x'] is ['x', 'y']",
        ".D: True is None",
    ]
