"""The template in a second embedded AWS, moto's: as SAM makes it and as it is written, read back and compared with what it says."""

import copy
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from expected import Expected
from functional.template import read
from repo.transformed import transformed
from second import ACCOUNT, Second, second_aws
from second_aws.reading import READERS

from infra.local.places import REGION

PROD: Final = {"Stage": "prod", "StripeMode": "live", "LogRetentionDays": "400", "WebhookConcurrency": "20"}
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
UNREAD: Final[Mapping[str, Mapping[str, str]]] = {}
"""By type, what moto does not give back, and why that is no fault of the template's."""


def _plain() -> dict[str, Any]:
    """template.yaml as `sam deploy` sends it: SAM's own types, and code in a bucket."""
    found = copy.deepcopy(read())
    for row in (found["Globals"]["Function"], *(row.get("Properties", {}) for row in found["Resources"].values())):
        if "CodeUri" in row:
            row["CodeUri"] = "s3://bucket/key"
    return found


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
            body = _plain() if stack == "plain" else transformed()
            s3.put_object(Bucket="bucket", Key=stack, Body=json.dumps(body).encode())
            asked = {"TemplateURL": f"{found.url}/bucket/{stack}", "Capabilities": ["CAPABILITY_IAM"]}
            cloudformation.create_stack(StackName=stack, Parameters=_parameters(values), **asked)
        yield found


def _expected(aws: Second, stack: str) -> Expected:
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    pseudo = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": stack, "AWS::StackId": found["StackId"]}
    defaults = {name: str(row.get("Default", "")) for name, row in transformed()["Parameters"].items()}
    values = {**defaults, **STACKS[stack], **pseudo, "AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws"}
    return Expected(transformed(), values, aws.physical(stack))


def _differences(wanted: Any, found: Any, place: str = "") -> list[str]:
    """What of ``wanted`` is not in ``found``: an account knows more of a resource than its template says."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for name, part in wanted.items() for line in _differences(part, found.get(name), f"{place}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for index, part in enumerate(wanted) for line in _differences(part, found[index], f"{place}[{index}]")]
    return [] if _text(wanted) == _text(found) else [f"{place}: {wanted!r} is {found!r}"]


def _text(value: Any) -> str:
    """Some operations give numbers and booleans back as text."""
    return str(value).lower().removesuffix(".0")


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_made_whole(aws: Second, stack: str) -> None:
    """Every resource that its conditions let be made is there, but for those that this AWS has no operation for."""
    expected = _expected(aws, stack)
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    wanted = {name for row in {row["Type"] for row in transformed()["Resources"].values()} - set(NOT_MADE) for name in expected.of_type(row)}
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
        wrong += _differences(wanted, READERS[kind](aws, physical[name], row), name)
    assert not wrong, "\n".join(wrong)
