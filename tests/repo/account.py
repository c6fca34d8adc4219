"""An AWS account that gives the answers that a test sets.

Every request and every answer is checked against botocore's service model.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

from infra.deploy.stage import Stage

ID: Final = "123456789012"
REGION: Final = "eu-west-1"
ARN: Final = f"arn:aws:cloudformation:{REGION}:{ID}:stack"
ABSENT: Final = "Stack with id topup-prod does not exist"
Answer = Mapping[str, Any] | str
"""A response, or the message of a ValidationError."""


class Account:
    """``answers`` by operation: one answer for every call, or a function of the
    call's parameters.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        **answers: Answer | Callable[[dict[str, Any]], Answer],
    ) -> None:
        """Every client of every stage leads here from now on."""
        self.answers = {
            "GetCallerIdentity": {"Account": ID, "Arn": f"arn:aws:iam::{ID}:user/seller"},
            "DescribeUserPool": {"UserPool": {"Id": "eu_1"}},
            "DescribeStackResource": "Resource UserPool does not exist for stack",
            **answers,
        }
        self.calls: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(
            Stage, "client", lambda stage, service, *_: self.client(service, stage.region)
        )

    def client(self, service: str, region: str = REGION) -> Any:
        """As boto3 makes it, but for the wire."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        found = boto3.client(service, region_name=region or REGION, **keys)
        found.meta.events.register_first("before-parameter-build.*.*", self._record)
        found.meta.events.register_first("before-call.*.*", self._answer)
        return found

    def called(self, name: str) -> list[dict[str, Any]]:
        """The parameters of every call of one operation."""
        return [params for called, params in self.calls if called == name]

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.name, dict(params)))

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        told: Any = self.answers[model.name]
        value = told(self.calls[-1][1]) if callable(told) else told
        if isinstance(value, str):
            return AWSResponse("", 400, {}, None), {
                "Error": {"Code": "ValidationError", "Message": value}
            }
        if model.output_shape:
            report = ParamValidator().validate(value, model.output_shape)
            assert not report.has_errors(), report.generate_report()
        return AWSResponse("", 200, {}, None), dict(value)


def described(status: str, stack: str = "topup-prod", **parameters: str) -> dict[str, Any]:
    """The answer of DescribeStacks."""
    rows = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    row = {
        "StackName": stack,
        "StackId": f"{ARN}/{stack}/1",
        "CreationTime": "2026-11-01T00:00:00Z",
        "StackStatus": status,
    }
    return {"Stacks": [{**row, "Parameters": rows}]}


def resource(name: str, kind: str, status: str = "CREATE_COMPLETE", **more: str) -> dict[str, Any]:
    """A row of ListStackResources."""
    row = {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"physical-{name}",
        "ResourceType": kind,
        "ResourceStatus": status,
    }
    return {**row, "LastUpdatedTimestamp": "2026-11-01T00:00:00Z", **more}


def listed(*pages: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Answer]:
    """The answer of ListStackResources: page after page."""

    def answer(params: dict[str, Any]) -> Answer:
        number = int(params.get("NextToken", "0"))
        more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
        return {"StackResourceSummaries": pages[number] if pages else [], **more}

    return answer
