import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from functional.lab import API, Lab, gateway_event
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.builders import completed, event, pending, session

BODY_BYTES_MAX = 256 * 1024


def _header(secret: str, body: bytes) -> str:
    """Stripe's scheme over any bytes; the SDK's own helper takes text only."""
    now = int(time.time())
    digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


BAD = {
    "empty": b"",
    "not JSON": b"hello",
    "cut off": b'{"object": "event"',
    "a byte order mark": b'\xef\xbb\xbf{"object": "event"}',
    "not UTF-8": b'{"object": "\xff\xfe"}',
    "UTF-16": '{"object": "event"}'.encode("utf-16"),
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "a text": b'"event"',
    "nested 3 000 deep": b"[" * 3000 + b"]" * 3000,
    "nested 100 000 deep": b'{"a":' * 100_000,
    "an integer of 5 000 digits": b'{"object": "event", "n": ' + b"9" * 5000 + b"}",
    "NaN": b'{"object": "event", "n": NaN}',
    "Infinity": b'{"object": "event", "n": -Infinity}',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
@pytest.mark.parametrize("is_signed", [True, False])
def test_a_body_that_is_no_json_object_is_refused(
    lab: Lab, body: bytes, *, is_signed: bool
) -> None:
    """S-8, S-9, S-15: 400, whatever its sender; the SDK by itself would raise five
    different errors.
    """
    said = lab.webhook(body, _header(lab.secret, body) if is_signed else "t=1,v1=x")
    assert said.status == (413 if len(body) > BODY_BYTES_MAX else 400)
    assert said.code in ("invalid_payload", "invalid_signature", "payload_too_large")
    assert lab.rows("WebhookEventsTable") == []


FOREIGN: dict[str, Any] = {
    "an empty object": {},
    "a v2 thin event": {
        "id": "evt_test_1",
        "object": "v2.core.event",
        "type": "v1.charge.refunded",
        "livemode": False,
        "context": None,
    },
    "an EventBridge envelope": {
        "version": "0",
        "detail-type": "charge.refunded",
        "source": "aws.partner/stripe.com",
        "detail": {},
    },
    "a type that is no text": {"object": "event", "type": 7},
    "an unknown type": {"object": "event", "type": "moon.landed", "livemode": False},
    "no data": {
        "id": "evt_1",
        "object": "event",
        "type": "charge.refunded",
        "livemode": False,
        "created": 1,
    },
    "data that is a list": {
        "id": "evt_1",
        "object": "event",
        "type": "charge.refunded",
        "livemode": False,
        "created": 1,
        "data": [],
    },
    "an object that is null": event("checkout.session.completed", {}) | {"data": {"object": None}},
    "created as a text": event("charge.refunded", {"payment_intent": "pi_1"})
    | {"created": "today"},
    "livemode as a text": event("charge.refunded", {}) | {"livemode": "false"},
}


@pytest.mark.parametrize("source", FOREIGN.values(), ids=FOREIGN)
def test_a_genuine_event_that_we_cannot_read_is_ignored(lab: Lab, source: dict[str, Any]) -> None:
    """S-9, S-16: 200, or Stripe would repeat it for three days and then disable the endpoint."""
    said = lab.deliver(source)
    assert (said.status, said.json) == (200, {"status": "ignored"})


def test_an_unsigned_eventbridge_envelope_is_refused(lab: Lab) -> None:
    """S-17: what comes by EventBridge has no signature, and no way in here."""
    said = lab.webhook(json.dumps(FOREIGN["an EventBridge envelope"]), "")
    assert (said.status, said.code) == (400, "invalid_signature")


def test_of_two_members_of_one_name_the_last_counts_as_for_stripes_own_library(lab: Lab) -> None:
    """S-9: signed twice over, read once: the JSON reader's own rule, and nobody but Stripe can use
    it.
    """
    payment = pending(lab.books)
    text = json.dumps(completed(payment)).replace(
        '"livemode": false', '"livemode": false, "livemode": true'
    )
    said = lab.webhook(text)
    assert said.json == {"status": "ignored"}
    assert lab.quota("alice")["remaining"] == 0


@pytest.mark.parametrize(
    ("size", "status"),
    [
        (1, 400),
        (BODY_BYTES_MAX - 1, 200),
        (BODY_BYTES_MAX, 200),
        (BODY_BYTES_MAX + 1, 413),
        (5_000_000, 413),
    ],
)
def test_an_event_has_at_most_256_kib(lab: Lab, size: int, status: int) -> None:
    """S-14: to the byte, signed or not."""
    body = json.dumps({"object": "event", "pad": ""})
    body = body.replace('""', f'"{"x" * (size - len(body))}"') if size > len(body) else "x" * size
    assert len(body) == size
    assert lab.webhook(body).status == status
    assert lab.webhook(body, "t=1,v1=x").status == (413 if status == 413 else 400)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_another_method_on_the_function_url_is_refused(lab: Lab, method: str) -> None:
    """S-15: a Function URL passes every method on. Never 5xx, never a redirect (S-18)."""
    route, _ = lab.route("POST", f"{API}/payments/webhook")
    request = gateway_event(route, "/", {}, {}, None)
    request["requestContext"]["http"]["method"] = method
    assert 400 <= lab.invoke("webhook", request).status < 500


def test_the_function_url_settles_like_the_gateway(lab: Lab) -> None:
    """The route key of a Function URL is always ``$default``, and there is no path."""
    payment = pending(lab.books)
    body = json.dumps(completed(payment))
    route, _ = lab.route("POST", f"{API}/payments/webhook")
    request = gateway_event(route, "/", {}, {"stripe-signature": lab.sign(body.encode())}, body) | {
        "routeKey": "$default"
    }
    assert lab.invoke("webhook", request).json == {"status": "settled"}
    assert lab.quota("alice")["remaining"] == 100


METADATA: dict[str, Any] = {
    "none": {},
    "null": None,
    "another product's": {"order_id": "42", "customer": "alice"},
    "ours without the user": {"payment_id": "pay_1", "plan": "starter", "quota": "100"},
    "quota as a number": {
        "payment_id": "pay_1",
        "user_id": "alice",
        "plan": "starter",
        "quota": 100,
    },
    "quota that is none": {
        "payment_id": "pay_1",
        "user_id": "alice",
        "plan": "starter",
        "quota": "-100",
    },
    "digits of another script": {
        "payment_id": "pay_1",
        "user_id": "alice",
        "plan": "starter",
        "quota": "\u0661\u0660\u0660",
    },
    "another deployment's": {
        "payment_id": "pay_1",
        "user_id": "alice",
        "plan": "starter",
        "quota": "100",
        "deployment": "dep_other",
    },
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_a_session_without_our_metadata_is_ignored(lab: Lab, metadata: Any) -> None:
    """M3, M4: ``stripe trigger``, Payment Links and other products of the same account."""
    payment = pending(lab.books, payment_id="pay_1")
    before = lab.everything()
    said = lab.deliver(event("checkout.session.completed", session(payment, metadata=metadata)))
    assert (said.status, said.json) == (200, {"status": "ignored"})
    assert lab.everything() == before


NOT_OURS: dict[str, dict[str, Any]] = {
    "the other mode (M8)": {"livemode": True},
    "a connected account (M9)": {"account": "acct_1"},
    "an organization (M9)": {"context": "org_1/acct_1"},
}


@pytest.mark.parametrize("members", NOT_OURS.values(), ids=NOT_OURS)
def test_another_modes_or_accounts_event_is_ignored(lab: Lab, members: dict[str, Any]) -> None:
    """Also with metadata that is ours in every letter."""
    payment = pending(lab.books)
    said = lab.deliver(completed(payment) | members)
    assert (said.status, said.json) == (200, {"status": "ignored"})
    assert lab.quota("alice")["remaining"] == 0


def test_a_live_session_in_a_test_event_is_ignored(lab: Lab) -> None:
    """M8: the object's own mode counts too."""
    said = lab.deliver(completed(pending(lab.books), livemode=True))
    assert said.json == {"status": "ignored"}


@pytest.mark.parametrize("name", ["amount_subtotal", "amount_total", "currency", "id"])
def test_a_session_with_a_null_where_money_is_named_is_not_credited(lab: Lab, name: str) -> None:
    """M11, A-8: Stripe's specification allows it; units without an amount are not given."""
    nothing: dict[str, Any] = {name: None}
    said = lab.deliver(completed(pending(lab.books), **nothing))
    assert said.status == 200
    assert lab.quota("alice")["remaining"] == 0


def test_expanded_objects_are_read_by_their_ids(lab: Lab) -> None:
    """M11: an object may stand where its id was expected."""
    payment = pending(lab.books)
    said = lab.deliver(
        completed(payment, payment_intent={"id": "pi_9", "object": "payment_intent"}, customer=None)
    )
    assert said.json == {"status": "settled"}
    assert [
        row["id"]["S"] for row in lab.rows("PaymentsTable") if row["owner"]["S"] == "ref#pi_9"
    ] == ["reference"]


def test_a_delivery_before_its_payment_is_parked_and_kept_in_the_queue(lab: Lab) -> None:
    """M1: verified, not applicable now, never forgotten: in the table and outside DynamoDB."""
    payment = pending(lab.books)
    lab.boto("dynamodb").delete_item(
        TableName="PaymentsTable",
        Key={"owner": {"S": "user#alice"}, "id": {"S": payment.payment_id}},
    )
    said = lab.deliver(completed(payment, "evt_early"))
    assert (said.status, said.json) == (200, {"status": "parked"})
    assert [row["fact_id"]["S"] for row in lab.rows("WebhookEventsTable")] == [
        f"{payment.session_id}:paid"
    ]
    assert _queued(lab) == 1


def _queued(lab: Lab) -> int:
    url = lab.template.resolve({"Ref": "ParkedQueue"})
    found = lab.boto("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessagesDelayed"])


def test_when_dynamodb_is_down_stripe_delivers_again_and_the_event_is_queued(
    lab: Lab,
) -> None:
    """L8, Z6: no 2xx without an effect.

    Stripe stops asking after three days; what fails until then is not lost.
    """
    payment = pending(lab.books)
    lab.boto("dynamodb").delete_table(TableName="LedgerTable")
    assert lab.deliver(completed(payment)).status >= 500
    assert _queued(lab) == 1


def test_one_event_delivered_five_times_credits_once(lab: Lab) -> None:
    """The first settles, the rest are duplicates, also from new containers."""
    source = completed(pending(lab.books))
    assert [lab.deliver(source).json["status"] for _ in range(5)] == ["settled"] + ["duplicate"] * 4
    assert lab.quota("alice")["remaining"] == 100


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    header=st.text(max_size=80)
    | st.from_regex(r"t=[0-9]{1,12}(,v[01]=[0-9a-f]{0,64}){0,3}", fullmatch=True),
    body=st.binary(max_size=200),
)
@example(header="t=1,v1=\ud800", body=b"{}")
def test_before_authentication_nothing_is_a_5xx(lab: Lab, header: str, body: bytes) -> None:
    """S-8: every sender but Stripe gets 400, whatever it sends."""
    assert lab.webhook(body, header).status == 400
