"""A route that is taken away leaves its throttle in the API's stage, where AWS then refuses every
update: it is removed first.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from repo.account import REGION, Account, described, resource
from repo.transformed import transformed

from infra.build.artifact import BUILD, PARSED, build
from infra.deploy import commands, orphan_throttles
from infra.deploy.stage import Stage
from infra.local.paths import Paths

HERE, GONE, NEITHER = "POST /api/v1/quota/debits", "GET /api/v1/gone", "GET /api/v1/never"
LIMIT: Final = {"ThrottlingRateLimit": 20.0, "ThrottlingBurstLimit": 25}
EVENT: Final = {"Type": "HttpApi", "Properties": {"Method": "post", "Path": "/api/v1/quota/debits"}}
TEMPLATE: Final[dict[str, Any]] = {
    "Parameters": {"Runtime": {"AllowedValues": []}},
    "Resources": {
        "DebitQuotaFunction": {
            "Type": "AWS::Serverless::Function",
            "Properties": {"Events": {"Route": EVENT}},
        }
    },
}


def _deploy(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *settings: str,
    codes: tuple[int, ...] = (0, 0),
    **answers: Any,
) -> Account:
    """Of a stack whose stage has throttles for these routes; ``codes`` of SAM and of ``topup
    connect``.
    """
    (tmp_path / PARSED).write_text(json.dumps(TEMPLATE))
    monkeypatch.setattr(commands, "BUILD", tmp_path)
    left = iter(codes)
    monkeypatch.setattr(subprocess, "call", lambda *_, **__: next(left))
    account = Account(
        monkeypatch,
        **{
            "DescribeStacks": described("UPDATE_COMPLETE"),
            "DescribeStackResource": {
                "StackResourceDetail": resource("HttpApi", "AWS::ApiGatewayV2::Api")
            },
            "GetStage": {"StageName": "$default", "RouteSettings": dict.fromkeys(settings, LIMIT)},
            "DeleteRouteSettings": {},
            "UpdateStage": {},
            **answers,
        },
    )
    commands.deploy(
        Stage("prod", "topup-prod", REGION, parameters={"Stage": "dev"}, folder=tmp_path), yes=True
    )
    return account


def test_the_throttle_of_a_route_that_is_no_more_goes_before_the_deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = _deploy(monkeypatch, tmp_path, HERE, GONE)
    assert account.called("DeleteRouteSettings") == [
        {"ApiId": "physical-HttpApi", "StageName": "$default", "RouteKey": GONE}
    ]
    assert not account.called("UpdateStage")


def test_a_deployment_that_does_not_happen_leaves_every_throttle_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The operator refused the change set, or AWS did: the route is still there, and the others
    keep theirs.
    """
    pages = {
        "": {"Items": [{"RouteKey": HERE}], "NextToken": "2"},
        "2": {"Items": [{"RouteKey": GONE}]},
    }
    account = _deploy(
        monkeypatch,
        tmp_path,
        HERE,
        GONE,
        NEITHER,
        codes=(1,),
        GetRoutes=lambda params: pages[params.get("NextToken", "")],
    )
    (again,) = account.called("UpdateStage")
    assert again["RouteSettings"][GONE] == LIMIT
    assert HERE in again["RouteSettings"], "an update that replaces the whole map would lose it"
    assert {call["RouteKey"] for call in account.called("DeleteRouteSettings")} == {GONE, NEITHER}


def test_where_nothing_is_orphaned_nothing_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = _deploy(monkeypatch, tmp_path, HERE, codes=(1,))
    assert (
        not account.called("DeleteRouteSettings")
        + account.called("UpdateStage")
        + account.called("GetRoutes")
    )


def test_a_stack_that_has_no_api_yet_is_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = "Resource HttpApi does not exist for stack topup-prod"
    account = _deploy(monkeypatch, tmp_path, DescribeStackResource=missing)
    assert not account.called("GetStage")


def test_every_route_of_the_template_is_known() -> None:
    """By SAM's own translation: each of them, written as API Gateway writes its keys."""
    build(Paths.from_environment())
    paths = transformed()["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
    keys = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert orphan_throttles.routes(json.loads((BUILD / PARSED).read_text())) == keys
    assert (
        set(
            transformed()["Resources"]["HttpApiApiGatewayDefaultStage"]["Properties"][
                "RouteSettings"
            ]
        )
        <= keys
    )
