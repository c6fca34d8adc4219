"""Any text in any place of any route, over a DynamoDB API that is as strict with keys as AWS is:
moto takes keys of any length.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from functional.lab import API, CREDENTIALS, Lab, client, forget, gateway_event, wipe
from functional.template import Route
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from simulator.lab import KEY
from simulator.lab import Lab as Stripe
from support import dynamo

RUNS: Final = 400
CHARS_MAX: Final = 2_000
SERVER_ERROR: Final = 500


@pytest.fixture(scope="module")
def strict(aws: None, stripe_side: Stripe) -> Iterator[Lab]:
    """The stack, its tables on the embedded AWS and all else in moto."""
    del aws
    with dynamo.ministack() as database, pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_DYNAMODB": database.url}.items():
            patch.setenv(name, value)  # moto has credentials of its own
        client.cache_clear()
        forget(clients=True)
        try:
            wipe()
            lab = Lab(stripe_side.url)
            lab.make(KEY, anew=True)
            for name, value in lab.template.environment().items():
                patch.setenv(name, value)
            yield lab
        finally:
            client.cache_clear()
            forget(clients=True)


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


texts: Final = st.text(st.characters(), max_size=CHARS_MAX) | st.integers(200, CHARS_MAX).map(
    lambda length: "x" * length
)
values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
holds: Final = st.tuples(
    st.sampled_from(["000000000001", "999999999999", "9" * 1000, "-1", ""]) | texts, texts, texts
).map(lambda parts: "hold_" + _base64url(".".join(parts)))
ids: Final = (
    texts
    | holds
    | st.tuples(st.sampled_from(["pay_", "cs_", "key_", "hold_", "key_" + "0" * 23]), texts).map(
        "".join
    )
)
places: Final = st.dictionaries(
    st.sampled_from(["id", "entry_id", "booked_at", "balance", "last"]),
    values | st.just("pay_1"),
    max_size=5,
)
cursors: Final = (
    texts
    | (places | values).map(lambda place: _base64url(json.dumps(place)))
    | st.just(_base64url("[" * 1_400))
)
members: Final = st.sampled_from(["user_id", "units", "expires_in_seconds", "plan", "name"])
bodies: Final = texts | st.dictionaries(
    members, values | st.just(1) | st.just("starter"), max_size=4
).map(json.dumps)


def _event(
    route: Route, name: str, query: dict[str, str], headers: dict[str, str], body: str
) -> dict[str, Any]:
    parameters = dict.fromkeys(
        [part[1:-1] for part in route.path.split("/") if part.startswith("{")], name
    )
    event = gateway_event(
        route, route.path, parameters, headers, body if route.method == "POST" else None
    )
    event["queryStringParameters"] = query
    if route.has_authorizer:
        event["requestContext"]["authorizer"] = {
            "jwt": {"claims": {"sub": "alice", "scope": "quota.write"}, "scopes": None}
        }
    return event


@settings(max_examples=RUNS, suppress_health_check=list(HealthCheck))
@example(
    name="key_" + "x" * 1_100,
    limit="1",
    cursor=_base64url('{"id":"zzz"}'),
    key="k",
    body="[" * 2_000,
)
@example(
    name="pay_" + "x" * 1_100,
    limit="1",
    cursor=_base64url('{"id":"pay_\\ud800"}'),
    key="k",
    body='{"plan":"starter"}',
)
@example(
    name="hold_" + _base64url("999999999999.." + "x" * 2_000),
    limit="1",
    cursor=_base64url("[" * 5_000),
    key="k",
    body='{"units":1}',
)
@example(
    name="hold_" + _base64url("999999999999.0123456789abcdef."),
    limit="1",
    cursor=_base64url('{"entry_id":"\\ud800","booked_at":"x","balance":1,"last":"x"}'),
    key="k" * 255,
    body='{"user_id":"' + "\U0001f600" * 255 + '","units":1,"expires_in_seconds":1}',
)
@given(
    name=ids,
    limit=st.sampled_from(["", "1", "100"]) | texts,
    cursor=cursors,
    key=texts,
    body=bodies,
)
def test_no_text_in_any_place_is_an_internal_error(
    strict: Lab, *, name: str, limit: str, cursor: str, key: str, body: str
) -> None:
    """Every route of the API, with up to 2 000 characters in its path, its query, its headers and
    its body: never a 5xx.
    """
    query = {name: value for name, value in (("limit", limit), ("cursor", cursor)) if value}
    for route in strict.template.routes():
        if route.path.startswith(API):
            said = strict.invoke(
                route.handler,
                _event(route, name, query, {"idempotency-key": key, "stripe-signature": key}, body),
            )
            assert said.status < SERVER_ERROR, (route.method, route.path, said.raw["body"])
