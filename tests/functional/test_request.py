import json
from collections.abc import Mapping
from typing import Any

import pytest
from functional.lab import API, Lab, Said, gateway_event

BODY_BYTES_MAX = 64 * 1024
UNITS_MAX = 10**9
POSTS: dict[str, tuple[str, dict[str, Any]]] = {
    "checkout": ("/payments/checkout", {"plan": "starter"}),
    "debit": ("/quota/debits", {"user_id": "alice", "units": 1}),
    "hold": ("/quota/holds", {"user_id": "alice", "units": 1, "expires_in_seconds": 60}),
    "capture": ("/quota/holds/hold_x/capture", {"units": 1}),
    "key": ("/keys", {"name": "laptop"}),
}
USERS_ROUTES = [
    ("POST", "/payments/checkout", {"plan": "starter"}),
    ("GET", "/payments", None),
    ("GET", "/payments/pay_1", None),
    ("POST", "/payments/pay_1/confirm", None),
    ("GET", "/quota", None),
    ("GET", "/quota/ledger", None),
    ("GET", "/quota/lots", None),
    ("POST", "/keys", {"name": "laptop"}),
    ("GET", "/keys", None),
    ("DELETE", "/keys/key_1", None),
]
SERVICE_ROUTES = [
    ("POST", "/quota/debits", {"user_id": "alice", "units": 1}),
    ("POST", "/quota/holds", {"user_id": "alice", "units": 1, "expires_in_seconds": 60}),
    ("POST", "/quota/holds/hold_x/capture", {"units": 1}),
    ("POST", "/quota/holds/hold_x/release", None),
]
NO_OBJECTS = {
    "nothing": None,
    "empty": "",
    "not JSON": "plan=starter",
    "cut off": '{"plan": ',
    "a list": "[]",
    "null": "null",
    "a number": "7",
    "a text": '"starter"',
    "an empty object": "{}",
    "nested 3 000 deep": "[" * 3000,
    "5 000 digits": f'{{"units": {"9" * 5000}}}',
    "a lone surrogate": "\ud800",
    "a nul": "\x00",
}


def _post(lab: Lab, path: str, **members: Any) -> Said:
    return lab.call("POST", path, sub="backend", scope="quota.write", **members)


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("raw", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_a_body_that_is_no_such_object_is_refused(lab: Lab, name: str, raw: str | None) -> None:
    """400 ``invalid_request`` on every route that takes a body, and nothing changes."""
    lab.fund("alice", 10)
    before = lab.everything()
    said = _post(lab, POSTS[name][0], raw=raw)
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.everything() == before


@pytest.mark.parametrize("name", POSTS)
def test_a_member_too_many_is_refused(lab: Lab, name: str) -> None:
    """A misspelt or invented member (``amount``, ``user_id``, ``success_url``) is reported, not
    overlooked.
    """
    path, body = POSTS[name]
    said = _post(lab, path, body={**body, "success_url": "https://evil.example.com"})
    assert (said.status, said.code) == (400, "invalid_request")
    assert all(member in said.json["detail"] for member in body)


@pytest.mark.parametrize("name", POSTS)
def test_a_member_too_few_is_refused(lab: Lab, name: str) -> None:
    path, body = POSTS[name]
    for member in body:
        said = _post(
            lab, path, body={other: value for other, value in body.items() if other != member}
        )
        assert (said.status, said.code) == (400, "invalid_request")


@pytest.mark.parametrize("name", POSTS)
def test_an_oversized_body_is_refused(lab: Lab, name: str) -> None:
    """64 KiB are read, one byte more is 413."""
    path, _ = POSTS[name]
    assert _post(lab, path, raw=" " * BODY_BYTES_MAX).code == "invalid_request"
    said = _post(lab, path, raw=" " * (BODY_BYTES_MAX + 1))
    assert (said.status, said.code) == (413, "payload_too_large")


@pytest.mark.parametrize("name", POSTS)
def test_a_body_that_is_no_base64_is_refused(lab: Lab, name: str) -> None:
    """The gateway encodes some content types; what claims to be encoded must be."""
    route, parameters = lab.route("POST", "/api/v1" + POSTS[name][0])
    claims = {"jwt": {"claims": {"sub": "backend", "scope": "quota.write"}}}
    event = {
        "version": "2.0",
        "routeKey": f"{route.method} {route.path}",
        "pathParameters": parameters,
        "requestContext": {"http": {"method": "POST"}, "authorizer": claims, "requestId": "req-1"},
        "body": "%%%",
        "isBase64Encoded": True,
    }
    assert lab.invoke(route.handler, event).status == 400


NO_UNITS = [
    0,
    -1,
    1.0,
    1.5,
    "1",
    True,
    None,
    [],
    {},
    UNITS_MAX + 1,
    10**30,
    -(10**30),
    float("nan"),
    float("inf"),
    1e400,
]


@pytest.mark.parametrize("units", NO_UNITS, ids=str)
@pytest.mark.parametrize("name", ["debit", "hold", "capture"])
def test_units_are_whole_positive_and_not_too_many(lab: Lab, name: str, units: Any) -> None:
    """A number with a fraction is none, even 1.0; a text or a boolean is none either."""
    lab.fund("alice", 10)
    before = lab.everything()
    path, body = POSTS[name]
    said = _post(lab, path, body={**body, "units": units})
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.everything() == before


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", True, None, 10**30])
def test_a_hold_lasts_a_second_to_a_day(lab: Lab, seconds: Any) -> None:
    """1 to 86 400, both included."""
    lab.fund("alice", 10)
    said = _post(
        lab, "/quota/holds", body={"user_id": "alice", "units": 1, "expires_in_seconds": seconds}
    )
    assert (said.status, said.code) == (400, "invalid_request")
    for bound in (1, 86_400):
        assert (
            _post(
                lab,
                "/quota/holds",
                body={"user_id": "alice", "units": 1, "expires_in_seconds": bound},
            ).status
            == 201
        )


@pytest.mark.parametrize(
    "user_id",
    ["", 7, None, [], "x" * 256, "a\nb", "a\x00b", "\x7f", "\ud800", "\u2028", "\u202e", "\u200b"],
    ids=repr,
)
@pytest.mark.parametrize("name", ["debit", "hold"])
def test_a_user_id_is_a_printable_text(lab: Lab, name: str, user_id: Any) -> None:
    """1 to 255 characters that DynamoDB and JSON can carry."""
    path, body = POSTS[name]
    said = _post(lab, path, body={**body, "user_id": user_id})
    assert (said.status, said.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "user_id",
    [
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "Zoë",
        "用户",
        "全 角",
        "u" * 255,
        "a b",
        "quota",
        "user#alice",
    ],
)
def test_any_printable_user_id_is_another_account(lab: Lab, user_id: str) -> None:
    lab.fund(user_id, 5)
    assert _post(lab, "/quota/debits", body={"user_id": user_id, "units": 2}).json["remaining"] == 3
    assert lab.quota(user_id)["used"] == 2


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "gold",
        "STARTER",
        " starter",
        7,
        None,
        True,
        [],
        ["starter"],
        {},
        {"id": "starter"},
        "x" * 10_000,
    ],
    ids=str,
)
def test_an_unknown_plan_is_refused_with_those_there_are(lab: Lab, plan: Any) -> None:
    """``invalid_plan`` whatever its type, and no payment is recorded."""
    said = _post(lab, "/payments/checkout", body={"plan": plan})
    assert (said.status, said.code) == (400, "invalid_plan")
    assert "starter, pro, enterprise" in said.json["detail"]
    assert lab.rows("PaymentsTable") == []


@pytest.mark.parametrize("key", ["x" * 256, "clé", "a\tb", "a\nb", "", "\x7f", " ", "a "], ids=repr)
@pytest.mark.parametrize("name", ["checkout", "debit"])
def test_an_idempotency_key_is_printable_ascii(lab: Lab, name: str, key: str) -> None:
    """1 to 255 characters; an empty one is a caller's bug, not a wish for none."""
    lab.fund("alice", 10)
    before = lab.everything()
    path, body = POSTS[name]
    said = _post(lab, path, body=body, idempotency_key=key)
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.everything() == before


@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "1.5", "ten", "", " 5", "\u0665", "9" * 500, "0x5", "+5"]
)
@pytest.mark.parametrize("path", ["/payments", "/quota/ledger"])
def test_a_limit_is_1_to_100(lab: Lab, path: str, limit: str) -> None:
    said = lab.call("GET", path, sub="alice", query={"limit": limit})
    assert (said.status, said.code) == (400, "invalid_request")
    assert [
        lab.call("GET", path, sub="alice", query={"limit": good}).status for good in ("1", "100")
    ] == [200, 200]


@pytest.mark.parametrize("sub", [None, "", 7, ["alice"], {"a": "b"}, True, "x" * 256], ids=repr)
@pytest.mark.parametrize(("method", "path", "body"), USERS_ROUTES)
def test_a_token_without_a_usable_subject_is_refused(
    lab: Lab, method: str, path: str, body: Any, sub: Any
) -> None:
    """Some issuers' machine tokens have none. A call without a user is refused."""
    said = lab.call(method, path, sub=sub, body=body)
    assert (said.status, said.code) == (401, "unauthorized")


@pytest.mark.parametrize("sub", ["", 7, ["backend"], "x" * 256], ids=repr)
@pytest.mark.parametrize(("method", "path", "body"), SERVICE_ROUTES)
def test_a_backend_without_a_usable_subject_cannot_spend(
    lab: Lab, method: str, path: str, body: Any, sub: Any
) -> None:
    """Nor is nobody a backend: a repeated Idempotency-Key is its caller's own, so that there must
    be one.
    """
    said = lab.call(method, path, sub=sub, scope="quota.write", body=body)
    assert (said.status, said.code) == (401, "unauthorized")


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "openid",
        "quota.read",
        "quota.writer",
        "xquota.write",
        "QUOTA.WRITE",
        "quota.write/x",
        "other/quota.write",
        "[quota.write",
    ],
)
@pytest.mark.parametrize(("method", "path", "body"), SERVICE_ROUTES)
def test_a_user_cannot_spend(lab: Lab, method: str, path: str, body: Any, scope: str) -> None:
    """Without the scope no unit moves, not even one's own; API Gateway asks for it as well."""
    lab.fund("alice", 10)
    before = lab.everything()
    said = lab.call(method, path, sub="alice", scope=scope, body=body)
    assert (said.status, said.code) == (403, "forbidden")
    assert lab.everything() == before


@pytest.mark.parametrize(
    "scope", ["quota.write", "openid quota.write", "topup/quota.write profile"]
)
def test_the_scope_may_be_one_of_several(lab: Lab, scope: str) -> None:
    """Separated by spaces (RFC 6749), or as Cognito writes it, with its resource server."""
    lab.fund("alice", 10)
    assert (
        lab.call(
            "POST",
            "/quota/debits",
            sub="backend",
            scope=scope,
            body={"user_id": "alice", "units": 1},
        ).status
        == 200
    )


def _debited(lab: Lab, claims: Mapping[str, Any]) -> int:
    route, parameters = lab.route("POST", f"{API}/quota/debits")
    event = gateway_event(
        route, route.path, parameters, {}, json.dumps({"user_id": "alice", "units": 1})
    )
    event["requestContext"]["authorizer"] = {
        "jwt": {"claims": dict(claims), "scopes": ["quota.write"]}
    }
    return lab.invoke(route.handler, event).status


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scp": "quota.write"}, 200),
        ({"scp": "openid quota.write"}, 200),
        ({"scp": "[openid quota.write]"}, 200),
        ({"scp": ["openid", "quota.write"]}, 200),
        ({"scope": "openid", "scp": "[quota.write]"}, 200),
        ({"scp": "[quota.writer]"}, 403),
        ({"scp": ["openid quota.write"]}, 403),
        ({"scp": {"quota.write": True}}, 403),
        ({"roles": "quota.write"}, 403),
    ],
    ids=repr,
)
def test_the_scope_is_found_where_other_issuers_write_it(
    lab: Lab, claims: Mapping[str, Any], status: int
) -> None:
    """Okta and Entra write ``scp``, a text or a list; API Gateway makes ``[a b]`` of a list.

    One scope is one scope: no part of a text.
    """
    lab.fund("alice", 10)
    assert _debited(lab, {"sub": "backend", **claims}) == status


def test_a_token_of_cognitos_machine_to_machine_grant_spends(lab: Lab) -> None:
    """It names a client and no audience, and its ``sub`` is the client: that is who the idempotency
    keys belong to.
    """
    lab.fund("alice", 10)
    client = "1example23456789"
    issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"
    claims = {
        "sub": client,
        "client_id": client,
        "token_use": "access",
        "scope": "topup/quota.write",
        "iss": issuer,
        "version": "2",
    }
    assert _debited(lab, claims) == 200
    assert lab.quota("alice")["remaining"] == 9


def test_the_user_of_the_body_never_counts_for_a_user(lab: Lab) -> None:
    """Users' routes take no user id: one in the body is refused, one in the
    query changes nothing.
    """
    lab.fund("bob", 10)
    assert lab.call("GET", "/quota", sub="alice", query={"user_id": "bob"}).json["remaining"] == 0
    assert (
        lab.call(
            "POST",
            "/payments/checkout",
            sub="alice",
            raw=json.dumps({"plan": "pro", "user_id": "bob"}),
        ).status
        == 400
    )
