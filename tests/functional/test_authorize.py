"""The authorizer for a seller's own API: a valid key pays one call, anything else is denied."""

import importlib
from typing import Any

import pytest
from billing.errors import SettingsError
from functional.lab import Context, Lab, forget

ARN = "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/GET/things"
"""What API Gateway calls the request."""


def _key(lab: Lab, user_id: str = "alice", name: str = "laptop") -> dict[str, Any]:
    said = lab.call("POST", "/keys", sub=user_id, body={"name": name})
    assert said.status == 201, said
    return said.json


def _ask(event: dict[str, Any]) -> Any:
    return importlib.import_module("authorize").handler(event, Context())


def _simple(**headers: str) -> Any:
    """An HTTP API's request, format 2.0, simple responses."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return _ask(
        {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": ARN,
            "identitySource": [],
            "headers": sent,
        }
    )


def _effect(answer: dict[str, Any]) -> str:
    """A REST API's policy: allow or deny, for this request."""
    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("execute-api:Invoke", ARN)
    effect: str = statement["Effect"]
    return effect


@pytest.mark.parametrize("form", ["x-api-key", "X-Api-Key", "authorization", "Authorization lower"])
def test_a_good_key_is_allowed_and_costs_a_unit(lab: Lab, form: str) -> None:
    """In either header; the context tells the seller's API whose call it is."""
    lab.fund("alice", 2)
    made = _key(lab)
    bearer = {
        "authorization": f"Bearer {made['key']}",
        "Authorization lower": f"bearer {made['key']}",
    }
    headers = {form.split(" ", maxsplit=1)[0]: bearer.get(form, made["key"])}
    said = _simple(**headers)
    assert said == {
        "isAuthorized": True,
        "context": {"user_id": "alice", "key_id": made["key_id"], "remaining": "1"},
    }
    assert lab.quota("alice")["used"] == 1


def test_all_keys_of_a_user_spend_one_quota(lab: Lab) -> None:
    """And when it is exhausted all of them are denied, nothing taken."""
    lab.fund("alice", 2)
    one, two = _key(lab), _key(lab)
    answers = [_simple(x_api_key=key["key"])["isAuthorized"] for key in (one, two, one, two)]
    assert answers == [True, True, False, False]
    assert lab.quota("alice")["remaining"] == 0


def test_a_revoked_key_is_denied_and_costs_nothing(lab: Lab) -> None:
    """From then on, in a warm container too."""
    lab.fund("alice", 5)
    made = _key(lab)
    assert _simple(x_api_key=made["key"])["isAuthorized"] is True
    lab.call("DELETE", f"/keys/{made['key_id']}", sub="alice")
    assert _simple(x_api_key=made["key"]) == {"isAuthorized": False, "context": {}}
    assert lab.quota("alice")["used"] == 1


MALFORMED = {
    "nothing": {},
    "empty": {"x_api_key": ""},
    "a word": {"x_api_key": "hello"},
    "only the prefix": {"x_api_key": "tk_"},
    "another scheme": {"authorization": "Basic dXNlcjpwYXNz"},
    "no token": {"authorization": "Bearer"},
    "non-ASCII": {"x_api_key": "tk_local_é"},
    "very long": {"x_api_key": "tk_local_" + "a" * 9000},
    "never made": {"x_api_key": f"tk_local_{'0' * 24}_{'A' * 43}"},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_key_is_denied(lab: Lab, headers: dict[str, str]) -> None:
    """It fails closed, and answers rather than raises."""
    del lab
    assert _simple(**headers) == {"isAuthorized": False, "context": {}}


def test_a_key_with_another_secret_is_denied(lab: Lab) -> None:
    """The number finds the row, only the secret opens."""
    lab.fund("alice", 5)
    key = _key(lab)["key"]
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert _simple(x_api_key=other)["isAuthorized"] is False
    assert lab.quota("alice")["used"] == 0


def test_a_key_of_another_stage_is_denied(lab: Lab) -> None:
    """A key of the stand means nothing in production, even with the same tables."""
    lab.fund("alice", 5)
    key = _key(lab)["key"]
    assert _simple(x_api_key=key.replace("tk_local_", "tk_prod_"))["isAuthorized"] is False
    assert lab.quota("alice")["used"] == 0


def test_a_rest_api_gets_a_policy(lab: Lab) -> None:
    """For REQUEST and for TOKEN authorizers; the principal is the user."""
    lab.fund("alice", 2)
    key = _key(lab)["key"]
    request = {
        "type": "REQUEST",
        "methodArn": ARN,
        "headers": {"X-Api-Key": key},
        "multiValueHeaders": {"X-Api-Key": [key]},
    }
    first = _ask(request)
    assert (_effect(first), first["principalId"], first["context"]["remaining"]) == (
        "Allow",
        "alice",
        "1",
    )
    assert (
        _effect(_ask({"type": "TOKEN", "methodArn": ARN, "authorizationToken": f"Bearer {key}"}))
        == "Allow"
    )
    assert _effect(_ask(request)) == "Deny"


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer ", "tk_local_x", "Bearer tk_local_x", "Basic x"]
)
def test_a_rest_api_denies_what_is_no_key(lab: Lab, token: str) -> None:
    del lab
    answer = _ask({"type": "TOKEN", "methodArn": ARN, "authorizationToken": token})
    assert (_effect(answer), answer["principalId"]) == ("Deny", "nobody")


def test_a_bare_token_is_taken_too(lab: Lab) -> None:
    """TOKEN authorizers often get the key without a scheme."""
    lab.fund("alice", 2)
    assert (
        _effect(_ask({"type": "TOKEN", "methodArn": ARN, "authorizationToken": _key(lab)["key"]}))
        == "Allow"
    )


def test_an_authorization_without_its_scheme_is_denied(lab: Lab) -> None:
    """Only a TOKEN authorizer may be bound to the other header."""
    lab.fund("alice", 2)
    assert not _simple(authorization=_key(lab)["key"])["isAuthorized"]
    assert lab.quota("alice")["remaining"] == 2


def test_when_the_outcome_is_unknown_the_request_is_not_authorized(lab: Lab) -> None:
    """It raises: API Gateway answers 500, and the seller's API is not called."""
    lab.fund("alice", 2)
    key = _key(lab)["key"]
    lab.boto("dynamodb").delete_table(TableName="QuotasTable")
    with pytest.raises(Exception, match="ResourceNotFound"):
        _simple(x_api_key=key)


def test_a_call_costs_what_the_stack_says(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five units each, of twelve: the third call is denied, and takes nothing."""
    lab.fund("alice", 12)
    monkeypatch.setenv("AUTHORIZE_UNITS", "5")
    forget()
    key = _key(lab)["key"]
    answers = [_simple(x_api_key=key) for _ in range(3)]
    assert [answer["isAuthorized"] for answer in answers] == [True, True, False]
    assert answers[1]["context"]["remaining"] == "2"
    assert lab.quota("alice")["used"] == 10


@pytest.mark.parametrize("units", ["-5", "0"])
def test_an_impossible_price_allows_no_call(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, units: str
) -> None:
    """It raises and says which setting it is: API Gateway answers 500, no unit moves, in or out."""
    lab.fund("alice", 12)
    key = _key(lab)["key"]
    monkeypatch.setenv("AUTHORIZE_UNITS", units)
    forget()
    with pytest.raises(SettingsError, match="AUTHORIZE_UNITS"):
        _simple(x_api_key=key)


def test_the_template_gives_the_authorizer_its_price(lab: Lab) -> None:
    """Appended to what all functions get."""
    variables = lab.template.resources["AuthorizeFunction"]["Properties"]["Environment"][
        "Variables"
    ]
    assert variables == {"AUTHORIZE_UNITS": {"Ref": "AuthorizeUnits"}}
