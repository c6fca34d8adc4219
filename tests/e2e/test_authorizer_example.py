import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from support.stand import Stand

from infra.build.artifact import RUNTIME
from infra.local.paths import ROOT

FOLDER: Final = ROOT / "infra" / "examples" / "authorizer"
STACK: Final = "hello-api"


@dataclass(frozen=True, slots=True)
class Example:
    """The seller's API, deployed beside Topup."""

    stand: Stand
    url: str
    authorizer: dict[str, Any]

    def call(self, key: str = "") -> httpx.Response:
        """GET /hello, with a key or without."""
        return self.stand.http.get(self.url, headers={"x-api-key": key} if key else {})


@pytest.fixture(scope="module")
def example(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The example's stack, deployed by sam as its README says, and deleted afterwards."""
    function = stand.resources()["AuthorizeFunction"]
    arn = stand.boto("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    _deploy(stand, arn, tmp_path_factory.mktemp("example"))
    cloudformation = stand.boto("cloudformation")
    rows = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    resources = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
    authorizer = _say_again_by_api(stand, resources, arn)
    yield Example(
        stand,
        f"{stand.facts['aws_endpoint_url']}/_aws/execute-api/{resources['Api']}/$default/hello",
        authorizer,
    )
    cloudformation.delete_stack(StackName=STACK)


def _deploy(stand: Stand, arn: str, folder: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": stand.facts["aws_region"],
        "AWS_ENDPOINT_URL": stand.facts["aws_endpoint_url"],
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
    }
    command = [
        *(
            str(ROOT / ".local" / "venvs" / "sam" / "bin" / "sam"),
            "deploy",
            "--template-file",
            str(FOLDER / "template.yaml"),
        ),
        *(
            "--stack-name",
            STACK,
            "--resolve-s3",
            "--no-confirm-changeset",
            "--capabilities",
            "CAPABILITY_IAM",
            "--no-progressbar",
        ),
        *("--parameter-overrides", f"AuthorizeFunctionArn={arn}", f"Runtime={RUNTIME}"),
    ]
    # In a folder of its own: the samconfig.toml of this project is for Topup's stack.
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _say_again_by_api(stand: Stand, resources: dict[str, str], arn: str) -> dict[str, Any]:
    """The embedded AWS ignores an HTTP API's OpenAPI body: make of it what API Gateway would.

    Returns the authorizer as written there.
    """
    gateway, api = stand.boto("apigatewayv2"), resources["Api"]
    found = stand.boto("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")[
        "TemplateBody"
    ]
    body = (found if isinstance(found, dict) else json.loads(found))["Resources"]["Api"][
        "Properties"
    ]["Body"]
    written: dict[str, Any] = body["components"]["securitySchemes"]["Topup"][
        "x-amazon-apigateway-authorizer"
    ]
    assert {"Ref": "AuthorizeFunctionArn"} in written["authorizerUri"]["Fn::Sub"][1].values()
    made = gateway.create_authorizer(
        ApiId=api,
        Name="Topup",
        AuthorizerType=written["type"].upper(),
        AuthorizerUri=f"arn:aws:apigateway:{stand.facts['aws_region']}:lambda:path/2015-03-31/functions/{arn}/invocations",
        AuthorizerPayloadFormatVersion=written["authorizerPayloadFormatVersion"],
        EnableSimpleResponses=written["enableSimpleResponses"],
        AuthorizerResultTtlInSeconds=written["authorizerResultTtlInSeconds"],
        IdentitySource=written["identitySource"],
    )
    ((path, methods),) = body["paths"].items()
    ((method, operation),) = methods.items()
    assert operation["security"] == [{"Topup": []}]
    behind = re.search(
        r"\$\{(\w+)\.Arn\}", operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    )
    assert behind is not None
    hello = stand.boto("lambda").get_function(FunctionName=resources[behind[1]])["Configuration"][
        "FunctionArn"
    ]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0", IntegrationUri=hello
    )
    gateway.create_route(
        ApiId=api,
        RouteKey=f"{method.upper()} {path}",
        Target=f"integrations/{integration['IntegrationId']}",
        AuthorizationType="CUSTOM",
        AuthorizerId=made["AuthorizerId"],
    )
    return written


@pytest.fixture
def customer() -> str:
    """A user of this test alone."""
    return f"caller-{uuid.uuid4().hex[:8]}"


def _key(stand: Stand, customer: str) -> dict[str, Any]:
    """As the customer makes one on the page."""
    made = stand.call("POST", "/keys", sub=customer, body={"name": "laptop"})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def _units(stand: Stand, customer: str) -> tuple[int, int]:
    quota = stand.quota(customer)
    return quota["remaining"], quota["used"]


def test_each_call_with_a_key_costs_one_unit(stand: Stand, example: Example, customer: str) -> None:
    """The seller's function gets the caller and what remains; a second call is paid for like the
    first.
    """
    stand.purchase(customer)
    key = _key(stand, customer)["key"]
    for remaining in (99, 98, 97):
        answer = example.call(key)
        assert (answer.status_code, answer.text) == (
            200,
            json.dumps({"hello": customer, "remaining": remaining}),
        )
        assert _units(stand, customer) == (remaining, 100 - remaining)


def test_the_authorizers_answer_is_never_kept(example: Example) -> None:
    """An answer from the cache is a call that is not paid for."""
    assert example.authorizer["authorizerResultTtlInSeconds"] == 0
    assert example.authorizer["identitySource"] == ["$request.header.x-api-key"]


def test_a_call_without_a_key_is_refused(stand: Stand, example: Example, customer: str) -> None:
    """API Gateway itself answers 401, and Topup is not asked."""
    stand.purchase(customer)
    _key(stand, customer)
    assert example.call().status_code == 401
    assert _units(stand, customer) == (100, 0)


def test_a_call_with_an_unknown_or_a_revoked_key_is_refused(
    stand: Stand, example: Example, customer: str
) -> None:
    """And nothing is taken; the customer's other key goes on working."""
    stand.purchase(customer)
    made, other = _key(stand, customer), _key(stand, customer)
    assert example.call(made["key"]).status_code == 200
    assert stand.call("DELETE", f"/keys/{made['key_id']}", sub=customer).status_code == 204
    assert example.call(made["key"]).status_code == 403
    assert (
        example.call(f"{other['key'][:-1]}{'a' if other['key'][-1] != 'a' else 'b'}").status_code
        == 403
    )
    assert _units(stand, customer) == (99, 1)
    assert example.call(other["key"]).status_code == 200


def test_a_call_beyond_the_last_unit_is_refused(
    stand: Stand, example: Example, customer: str
) -> None:
    """The hundredth is answered, the next is not; and a purchase opens the door again."""
    stand.purchase(customer)
    key = _key(stand, customer)["key"]
    spent = stand.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": customer, "units": 99},
    )
    assert spent.status_code == 200
    assert example.call(key).json() == {"hello": customer, "remaining": 0}
    for _ in range(2):
        refused = example.call(key)
        assert refused.status_code == 403
        assert _units(stand, customer) == (0, 100)
    stand.purchase(customer)
    assert example.call(key).json() == {"hello": customer, "remaining": 99}
