"""Stacks of the template in the second embedded AWS, and what should stand in each."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from repo.declared import TEMPLATE
from repo.transformed import transformed
from support.expected import Expected
from support.second import ACCOUNT, Second, second_aws

from infra.local.paths import REGION

PROD: Final = {
    "Stage": "prod",
    "StripeMode": "live",
    "LogRetentionDays": "400",
    "WebhookConcurrency": "20",
}
STACKS: Final[Mapping[str, Mapping[str, str]]] = {"transformed": {}, "plain": {}, "prod": PROD}
"""Each a stack in one account: by name, with its parameters."""


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


def parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    """As CloudFormation takes them."""
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


@contextmanager
def second_stacks(log: Path) -> Iterator[Second]:
    """An account with all of them."""
    with second_aws(log) as found:
        s3, cloudformation = found.client("s3"), found.client("cloudformation")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=_code())
        for stack, values in STACKS.items():
            body = _plain() if stack == "plain" else json.dumps(transformed())
            s3.put_object(Bucket="bucket", Key=stack, Body=body.encode())
            asked = {
                "TemplateURL": f"{found.url}/bucket/{stack}",
                "Capabilities": ["CAPABILITY_IAM"],
            }
            cloudformation.create_stack(StackName=stack, Parameters=parameters(values), **asked)
        yield found


def expected(aws: Second, stack: str, told: Mapping[str, str] | None = None) -> Expected:
    """``told``: the parameters, if they are no longer those of STACKS."""
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    pseudo = {
        "AWS::Region": REGION,
        "AWS::AccountId": ACCOUNT,
        "AWS::StackName": stack,
        "AWS::StackId": found["StackId"],
    }
    defaults = {
        name: str(row.get("Default", "")) for name, row in transformed()["Parameters"].items()
    }
    told = STACKS[stack] if told is None else told
    values = {
        **defaults,
        **told,
        **pseudo,
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::Partition": "aws",
    }
    return Expected(transformed(), values, aws.physical(stack))
