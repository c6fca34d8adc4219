"""Limits and use of keys through the handlers, and what a call costs at the authorizer."""

import importlib
from functools import partial
from typing import Any

import pytest
from billing.keys import costs
from functional.lab import Context, Lab

TEN = {"units": 10, "per": "month"}
TABLE = """{"default": 2, "routes": [
  {"method": "GET", "path": "/v1/search/{proxy+}", "units": 5},
  {"method": "POST", "path": "/v1/search/{proxy+}", "units": 6},
  {"method": "ANY", "path": "/v1/users/{id}", "units": 3},
  {"method": "ANY", "path": "/health", "units": 0}
]}"""


def _make(lab: Lab, limit: Any = None, user_id: str = "alice") -> dict[str, Any]:
    said = lab.call("POST", "/keys", sub=user_id, body={"name": "laptop", "limit": limit})
    assert said.status == 201, said
    return said.json


def _listed(lab: Lab) -> dict[str, Any]:
    (key,) = lab.call("GET", "/keys", sub="alice").json["keys"]
    found: dict[str, Any] = key
    return found


def _debit(lab: Lab, units: int, **more: Any) -> Any:
    body = {"user_id": "alice", "units": units, **more}
    return lab.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body)


def _hold(lab: Lab, units: int, **more: Any) -> Any:
    body = {"user_id": "alice", "units": units, "expires_in_seconds": 60, **more}
    return lab.call("POST", "/quota/holds", sub="backend", scope="quota.write", body=body)


def _ask(event: dict[str, Any]) -> Any:
    return importlib.import_module("authorize").handler(event, Context())


def _call(key: str, method: str = "GET", path: str = "/things", stage: str = "$default") -> Any:
    """An HTTP API's request, format 2.0."""
    return _ask(
        {
            "version": "2.0",
            "type": "REQUEST",
            "headers": {"x-api-key": key},
            "rawPath": path,
            "routeKey": "$default",
            "requestContext": {"http": {"method": method, "path": path}, "stage": stage},
        }
    )


def test_a_key_shows_its_limit_and_its_use(lab: Lab) -> None:
    lab.fund("alice", 50)
    made = _make(lab, TEN)
    assert (made["limit"], made["limit_remaining"], made["used_total"]) == (TEN, 10, 0)
    assert _debit(lab, 4, key_id=made["key_id"]).status == 200
    shown = _listed(lab)
    assert (shown["limit_remaining"], shown["used_today"]) == (6, 4)
    assert (shown["used_this_month"], shown["used_total"]) == (4, 4)
    assert shown["resets_at"].endswith("-01T00:00:00.000000Z")


def test_a_debit_above_the_limit_is_a_402_with_its_figures(lab: Lab) -> None:
    lab.fund("alice", 50)
    key_id = _make(lab, TEN)["key_id"]
    said = _debit(lab, 11, key_id=key_id)
    assert (said.status, said.code) == (402, "key_limit_reached")
    assert said.json["limit_remaining"] == 10
    assert said.json["resets_at"] == _listed(lab)["resets_at"]
    assert lab.quota("alice")["used"] == 0
    hold = _hold(lab, 11, key_id=key_id)
    assert (hold.status, hold.code) == (402, "key_limit_reached")


def test_a_hold_takes_what_there_is(lab: Lab) -> None:
    lab.fund("alice", 50)
    key_id = _make(lab, TEN)["key_id"]
    said = _hold(lab, 30, key_id=key_id, at_least=1)
    assert (said.status, said.json["units"], said.json["remaining"]) == (201, 10, 40)
    assert _hold(lab, 100, at_least=41).code == "quota_exhausted"
    assert _hold(lab, 100, at_least=40).json["units"] == 40


def test_a_debit_and_a_hold_tell_what_is_left_of_the_limit(lab: Lab) -> None:
    lab.fund("alice", 50)
    limited, free = _make(lab, TEN)["key_id"], _make(lab)["key_id"]
    assert _debit(lab, 4, key_id=limited).json["limit_remaining"] == 6
    assert _hold(lab, 5, key_id=limited).json["limit_remaining"] == 1
    body = {"user_id": "alice", "units": 1, "key_id": limited}
    debit = partial(lab.call, "POST", "/quota/debits", sub="backend", scope="quota.write")
    answers = [debit(body=body, idempotency_key="once").json for _ in range(2)]
    assert [answer["limit_remaining"] for answer in answers] == [0, 0]
    assert answers[1] == {**answers[0], "idempotent_replayed": True}
    for answer in (_debit(lab, 1), _debit(lab, 1, key_id=free), _hold(lab, 1, key_id=free)):
        assert "limit_remaining" not in answer.json


@pytest.mark.parametrize("at_least", [0, -1, 31, 1.5, "1", None, True, 10**10], ids=repr)
def test_at_least_is_a_whole_number_up_to_the_units(lab: Lab, at_least: Any) -> None:
    lab.fund("alice", 50)
    before = lab.everything()
    said = _hold(lab, 30, at_least=at_least)
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.everything() == before


def test_a_changed_key_is_answered_and_listed(lab: Lab) -> None:
    made = _make(lab)
    path = f"/keys/{made['key_id']}"
    said = lab.call("PATCH", path, sub="alice", body={"name": "server", "limit": TEN})
    assert (said.status, said.json) == (200, _listed(lab))
    assert (said.json["name"], said.json["limit"]) == ("server", TEN)
    assert lab.call("PATCH", path, sub="alice", body={"limit": None}).json["limit"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"limit": {"units": 0, "per": "day"}},
        {"limit": {"units": -1, "per": "day"}},
        {"limit": {"units": 1.5, "per": "day"}},
        {"limit": {"units": "10", "per": "day"}},
        {"limit": {"units": 10**10, "per": "day"}},
        {"limit": {"units": 1, "per": "week"}},
        {"limit": {"units": 1, "per": "day", "x": 1}},
        {"limit": 10},
        {"name": ""},
        {"name": None},
        {"name": "a", "more": 1},
        {"key_id": "key_1"},
    ],
    ids=repr,
)
def test_a_bad_change_changes_nothing(lab: Lab, body: dict[str, Any]) -> None:
    made = _make(lab, TEN)
    before = lab.everything()
    said = lab.call("PATCH", f"/keys/{made['key_id']}", sub="alice", body=body)
    assert (said.status, said.code) == (400, "invalid_request")
    named = {"name": "x", **body} if "limit" in body else {**body, "limit": None}
    if "limit" in body:
        assert lab.call("POST", "/keys", sub="alice", body=named).code == "invalid_request"
    assert lab.everything() == before


def test_another_users_key_is_not_changed(lab: Lab) -> None:
    made = _make(lab, TEN)
    before = lab.everything()
    said = lab.call("PATCH", f"/keys/{made['key_id']}", sub="bob", body={"limit": None})
    assert (said.status, said.code) == (404, "not_found")
    assert lab.everything() == before


@pytest.mark.parametrize("which", ["foreign", "revoked", "unknown", "no id", "one digit off"])
def test_a_key_that_is_no_live_key_of_the_user_is_a_400(lab: Lab, which: str) -> None:
    lab.fund("alice", 50)
    made = _make(lab)
    foreign, revoked = _make(lab, user_id="bob"), _make(lab)
    lab.call("DELETE", f"/keys/{revoked['key_id']}", sub="alice")
    last = made["key_id"][-1]
    key_id = {
        "foreign": foreign["key_id"],
        "revoked": revoked["key_id"],
        "unknown": "key_" + "0" * 24,
        "no id": made["key"],
        "one digit off": made["key_id"][:-1] + ("0" if last != "0" else "1"),
    }[which]
    before = lab.everything()
    for act in (_debit, _hold):
        said = act(lab, 1, key_id=key_id)
        assert (said.status, said.code) == (400, "invalid_key")
    assert lab.everything() == before


@pytest.mark.parametrize("key_id", [None, 7, "", [], {}], ids=repr)
def test_a_key_id_is_a_text(lab: Lab, key_id: Any) -> None:
    lab.fund("alice", 50)
    said = _debit(lab, 1, key_id=key_id)
    assert (said.status, said.code) == (400, "invalid_request")


@pytest.mark.parametrize("form", ["x-api-key", "authorization"])
def test_the_holder_of_a_key_sees_it(lab: Lab, form: str) -> None:
    lab.fund("alice", 50)
    made = _make(lab, TEN)
    _debit(lab, 3, key_id=made["key_id"])
    if form == "x-api-key":
        said = lab.call("GET", "/key", x_api_key=made["key"])
    else:
        said = lab.call("GET", "/key", authorization=f"Bearer {made['key']}")
    assert said.status == 200
    assert said.json == {
        "key_id": made["key_id"],
        "name": "laptop",
        "limit": TEN,
        "limit_remaining": 7,
        "resets_at": _listed(lab)["resets_at"],
        "remaining": 47,
        "top_up_url": said.json["top_up_url"],
    }
    assert said.json["top_up_url"].startswith("http")


def test_a_changed_key_is_seen_by_its_holder(lab: Lab) -> None:
    made = _make(lab, TEN)
    path = f"/keys/{made['key_id']}"
    lab.call("PATCH", path, sub="alice", body={"name": "server", "limit": None})
    said = lab.call("GET", "/key", x_api_key=made["key"])
    assert (said.json["name"], said.json["limit"], said.json["limit_remaining"]) == (
        "server",
        None,
        None,
    )


@pytest.mark.parametrize("which", ["none", "nonsense", "revoked", "other stage", "token", "basic"])
def test_what_is_no_live_key_is_a_401(lab: Lab, which: str) -> None:
    made = _make(lab)
    revoked = _make(lab)
    lab.call("DELETE", f"/keys/{revoked['key_id']}", sub="alice")
    x_api_key, authorization = {
        "none": ("", ""),
        "nonsense": ("tk_", ""),
        "revoked": (revoked["key"], ""),
        "other stage": (made["key"].replace("tk_local_", "tk_prod_"), ""),
        "token": ("", "Bearer eyJhbGciOiJub25lIn0.e30."),
        "basic": ("", f"Basic {made['key']}"),
    }[which]
    said = lab.call("GET", "/key", x_api_key=x_api_key, authorization=authorization)
    assert (said.status, said.code) == (401, "unauthorized")


def test_the_authorizer_enforces_a_limit_and_tells_what_is_left(lab: Lab) -> None:
    lab.fund("alice", 50)
    made = _make(lab, {"units": 2, "per": "total"})
    answers = [_call(made["key"]) for _ in range(3)]
    assert [answer["isAuthorized"] for answer in answers] == [True, True, False]
    assert [answer["context"].get("limit_remaining") for answer in answers] == ["1", "0", None]
    assert lab.quota("alice")["used"] == 2


@pytest.mark.parametrize(
    ("call", "stage", "units"),
    [
        ("GET /v1/search/a/b", "$default", 5),
        ("POST /v1/search/a", "$default", 6),
        ("PUT /v1/search/a", "$default", 2),
        ("GET /v1/search", "$default", 2),
        ("GET /v1/users/7", "$default", 3),
        ("GET /v1/users/7/more", "$default", 2),
        ("GET /prod/v1/users/7", "prod", 3),
        ("GET /health", "$default", 0),
        ("GET /prod/health", "prod", 0),
        ("GET /v1/search/../../health", "$default", 5),
        ("GET /HEALTH", "$default", 2),
        ("GET /v1/%73earch/a", "$default", 5),
        ("GET /v1/%2573earch/a", "$default", 5),
        ("GET /v1%2Fsearch%2Fa", "$default", 5),
        ("GET //v1//search/a", "$default", 5),
        ("GET /v1/./search/a/", "$default", 5),
        ("GET /health/../v1/search/a", "$default", 5),
        ("GET /health%2F..%2Fv1/search/a", "$default", 5),
        ("GET /health/%252e%252e/v1/search/a", "$default", 5),
        ("GET /v1/users/a%20b", "$default", 3),
        ("GET /v1/users/100%", "$default", 3),
        ("GET /%68ealth", "$default", 2),
        ("GET /../..", "$default", 2),
    ],
)
def test_a_call_costs_what_the_table_says(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, call: str, stage: str, units: int
) -> None:
    lab.fund("alice", 50)
    key = _make(lab)["key"]
    monkeypatch.setattr(importlib.import_module("authorize"), "COSTS", costs.load(TABLE))
    method, path = call.split(" ")
    said = _call(key, method, path, stage)
    assert (said["isAuthorized"], said["context"]["remaining"]) == (True, str(50 - units))
    assert lab.quota("alice")["used"] == units


def test_a_rest_api_and_a_token_authorizer_take_the_same_table(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.fund("alice", 50)
    key = _make(lab)["key"]
    monkeypatch.setattr(importlib.import_module("authorize"), "COSTS", costs.load(TABLE))
    arn = "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/GET/v1/users/7"
    _ask({"type": "TOKEN", "methodArn": arn, "authorizationToken": f"Bearer {key}"})
    assert lab.quota("alice")["used"] == 3
    rest = {
        "type": "REQUEST",
        "methodArn": arn,
        "resource": "/{proxy+}",
        "path": "/v1/users/7",
        "httpMethod": "GET",
        "headers": {"x-api-key": key},
        "requestContext": {"stage": "prod"},
    }
    _ask(rest)
    assert lab.quota("alice")["used"] == 6
    _ask({**rest, "path": "/base/v1/users/7", "resource": "/v1/users/{id}"})
    assert lab.quota("alice")["used"] == 9


@pytest.mark.parametrize(
    ("domain", "path", "units"),
    [
        ("abcdef.execute-api.us-east-1.amazonaws.com", "/v1/v1/users/7", 3),
        ("abcdef.execute-api.us-east-1.amazonaws.com", "/v1/users/7", 2),
        ("api.example.com", "/v1/users/7", 3),
        ("api.example.com", "/base/v1/users/7", 3),
    ],
)
def test_a_stage_is_part_of_the_path_except_on_the_sellers_own_domain(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, domain: str, path: str, units: int
) -> None:
    """The stage is called v1, as a part of the API's own paths is."""
    lab.fund("alice", 50)
    key = _make(lab)["key"]
    monkeypatch.setattr(importlib.import_module("authorize"), "COSTS", costs.load(TABLE))
    route = "GET /v1/users/{id}" if path.startswith("/base") else "$default"
    context = {"http": {"method": "GET", "path": path}, "stage": "v1", "domainName": domain}
    event = {"version": "2.0", "type": "REQUEST", "headers": {"x-api-key": key}, "rawPath": path}
    _ask({**event, "routeKey": route, "requestContext": context})
    assert lab.quota("alice")["used"] == units


def test_a_call_that_costs_nothing_writes_nothing_and_needs_a_live_key(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes even when there are no units left, and never for a revoked or unknown key."""
    made = _make(lab, TEN)
    monkeypatch.setattr(importlib.import_module("authorize"), "COSTS", costs.load(TABLE))
    before = lab.everything()
    said = _call(made["key"], "GET", "/health")
    assert said["isAuthorized"] is True
    assert (said["context"]["remaining"], said["context"]["limit_remaining"]) == ("0", "10")
    assert lab.everything() == before
    assert not _call(made["key"], "GET", "/other")["isAuthorized"]
    lab.call("DELETE", f"/keys/{made['key_id']}", sub="alice")
    assert not _call(made["key"], "GET", "/health")["isAuthorized"]
