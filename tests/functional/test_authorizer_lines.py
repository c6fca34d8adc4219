"""What the authorizer writes to its log, its metrics and its traces, and each form of answer."""

from typing import Any, Final

import pytest
from billing.telemetry import metrics
from functional.lab import Context, Lab
from support.lines import USUAL, counted
from support.xray_daemon import Sent

ARN: Final = "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/GET/things"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure of another test is left."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()


def _key(lab: Lab) -> dict[str, Any]:
    return lab.call("POST", "/keys", sub="alice", body={"name": "laptop"}).json


def _ask(lab: Lab, key: str, **members: Any) -> Any:
    event = {"version": "2.0", "type": "REQUEST", "routeArn": ARN, "headers": {"x-api-key": key}}
    return lab.ask("authorize", event | members)


def _line(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The members of the only line of a request since the last call."""
    (record,) = [one for one in caplog.records if one.getMessage() == "request"]
    caplog.clear()
    assert record.levelname == "INFO"
    return {name: value for name, value in vars(record).items() if name not in USUAL}


def test_each_outcome_is_one_line_of_its_own_with_its_ids(
    lab: Lab, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the key nor its holder is in it. A refused debit is counted, and nothing else."""
    lab.fund("alice", 1)
    made = _key(lab)
    caplog.set_level("INFO")
    caplog.clear()
    capsys.readouterr()
    about = {"route": "authorizer", "request_id": Context.aws_request_id}
    assert _ask(lab, made["key"])["isAuthorized"] is True
    line = _line(caplog)
    assert line.pop("debit_id").startswith("deb_")
    assert line == {**about, "outcome": "allowed", "key_id": made["key_id"]}
    assert counted(capsys) == {}
    assert _ask(lab, made["key"])["isAuthorized"] is False
    assert _line(caplog) == {
        **about,
        "outcome": "denied",
        "code": "quota_exhausted",
        "key_id": made["key_id"],
    }
    assert counted(capsys) == {"refused_debits": [1.0]}
    assert _ask(lab, "nonsense")["isAuthorized"] is False
    assert _line(caplog) == {**about, "outcome": "denied", "code": "no_such_key"}
    assert counted(capsys) == {}


def test_a_call_whose_outcome_is_unknown_says_so_in_its_line(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    made = _key(lab)
    lab.boto("dynamodb").delete_table(TableName="QuotasTable")
    caplog.set_level("INFO")
    caplog.clear()
    with pytest.raises(Exception, match="ResourceNotFound"):
        _ask(lab, made["key"])
    assert _line(caplog) == {
        "route": "authorizer",
        "request_id": Context.aws_request_id,
        "outcome": "unknown",
        "key_id": made["key_id"],
    }


def test_a_sampled_call_is_found_by_its_ids(
    lab: Lab,
    daemon: Sent,
) -> None:
    lab.fund("alice", 5)
    made = _key(lab)
    daemon()
    assert _ask(lab, made["key"])["isAuthorized"] is True
    (request,) = [sent for sent in daemon() if "annotations" in sent]
    assert request["name"] == "authorize"
    noted = request["annotations"]
    assert noted.pop("debit_id").startswith("deb_")
    assert noted == {
        "request_id": Context.aws_request_id,
        "outcome": "allowed",
        "key_id": made["key_id"],
    }


def test_an_allowed_call_of_a_rest_api_is_a_whole_policy(lab: Lab) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html."""
    lab.fund("alice", 5)
    made = _key(lab)
    context = {"user_id": "alice", "key_id": made["key_id"], "remaining": "4"}
    answer = _ask(lab, made["key"], methodArn=ARN)
    assert answer == {
        "principalId": "alice",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN},
            ],
        },
        "context": context,
    }


@pytest.mark.parametrize("resource", [ARN, "*"])
def test_a_denied_token_is_a_whole_policy_too(lab: Lab, resource: str) -> None:
    """For all calls where the event does not name one."""
    named = {} if resource == "*" else {"methodArn": ARN}
    event = {"type": "TOKEN", "authorizationToken": "Bearer nonsense", **named}
    assert lab.ask("authorize", event) == {
        "principalId": "nobody",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": resource},
            ],
        },
        "context": {},
    }


def test_a_free_call_shows_what_is_left_and_takes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the account, and of a key's limit where it has one. No debit is named in the line."""
    import authorize  # noqa: PLC0415 - it reads its settings when it is loaded
    from billing.keys import costs  # noqa: PLC0415 - beside it

    monkeypatch.setattr(authorize, "COSTS", costs.load('{"default": 0}'))
    lab.fund("alice", 5)
    limit = {"units": 3, "per": "day"}
    limited = lab.call("POST", "/keys", sub="alice", body={"name": "n", "limit": limit}).json
    free = _key(lab)
    caplog.set_level("INFO")
    caplog.clear()
    assert _ask(lab, limited["key"])["context"] == {
        "user_id": "alice",
        "key_id": limited["key_id"],
        "remaining": "5",
        "limit_remaining": "3",
    }
    assert "debit_id" not in _line(caplog)
    assert _ask(lab, free["key"])["context"] == {
        "user_id": "alice",
        "key_id": free["key_id"],
        "remaining": "5",
    }
    assert lab.quota("alice")["used"] == 0


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"X-API-KEY": "{key}"}, None),
        ({"x-api-key": "", "authorization": "bearer {key}"}, None),
        ({"x-api-key": "{key}", "authorization": "Bearer other"}, None),
        ({"AUTHORIZATION": "BEARER   {key}  "}, None),
        (None, "Bearer {key}"),
        (None, "{key}"),
        ({}, "bearer {key}"),
        ({"authorization": "Bearer other"}, "{key}"),
    ],
)
def test_a_key_is_found_wherever_it_may_be_sent(
    lab: Lab, headers: dict[str, str] | None, token: str | None
) -> None:
    lab.fund("alice", 5)
    key = _key(lab)["key"]
    event: dict[str, Any] = {"version": "2.0", "type": "REQUEST"}
    event["headers"] = headers and {name: text.format(key=key) for name, text in headers.items()}
    event["authorizationToken"] = token and token.format(key=key)
    assert lab.ask("authorize", event)["isAuthorized"] is True


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"x-api-key": "other", "authorization": "Bearer {key}"}, None),
        ({"authorization": "{key}"}, None),
        ({"authorization": "Basic {key}"}, None),
        ({"other": "{key}"}, None),
        ({"authorization": "Bearer {key}"}, "Bearer other"),
        ({}, "Basic {key}"),
    ],
)
def test_a_key_in_another_place_opens_nothing(
    lab: Lab, headers: dict[str, str], token: str | None
) -> None:
    lab.fund("alice", 5)
    key = _key(lab)["key"]
    event: dict[str, Any] = {"version": "2.0", "type": "REQUEST"}
    event["headers"] = {name: text.format(key=key) for name, text in headers.items()}
    event["authorizationToken"] = token and token.format(key=key)
    assert lab.ask("authorize", event) == {"isAuthorized": False, "context": {}}
