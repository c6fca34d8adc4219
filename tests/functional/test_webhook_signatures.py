import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from functional.lab import API, Lab, Said, gateway_event

UNKNOWN = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "customer.created",
        "livemode": False,
        "data": {"object": {}},
    }
)
"""Genuine once signed, and not of interest: 200 ignored."""


def _accepted(said: Said) -> bool:
    return said.status == 200 and said.json == {"status": "ignored"}


def _refused(said: Said) -> bool:
    return said.status == 400 and said.code == "invalid_signature"


def _parts(header: str) -> tuple[str, str]:
    """``t=...`` and ``v1=...``."""
    stamp, signature = header.split(",")
    return stamp, signature


def test_a_signed_delivery_is_accepted(lab: Lab) -> None:
    """The baseline of all that follows."""
    assert _accepted(lab.webhook(UNKNOWN))


def test_a_forged_signature_is_refused(lab: Lab) -> None:
    """Signed by a sender who does not know the secret."""
    assert _refused(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret="whsec_guessed")))


@pytest.mark.parametrize(
    "others", ["v1=bad,{good}", "{good},v1=bad", "v1=bad,v1=worse,{good},v0=x", "v0=x,{good}"]
)
def test_any_matching_v1_will_do(lab: Lab, others: str) -> None:
    """S-1: while a secret is rolled Stripe sends one v1 for each."""
    stamp, good = _parts(lab.sign(UNKNOWN.encode()))
    assert _accepted(lab.webhook(UNKNOWN, f"{stamp},{others.format(good=good)}"))


def test_v0_alone_never_will(lab: Lab) -> None:
    """S-1: v0 is a test scheme, even with the right digest."""
    assert _refused(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode()).replace("v1=", "v0=")))


def test_a_secret_that_is_being_rolled_counts_beside_the_new_one(lab: Lab) -> None:
    """S-2: both are valid for up to a day; a third is not."""
    lab.put_secrets("whsec_new", lab.secret)
    assert _accepted(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode())))
    assert _accepted(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret="whsec_new")))
    assert _refused(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret="whsec_third")))


def test_a_roll_is_noticed_by_a_warm_container(lab: Lab) -> None:
    """S-2, L9: the secret in memory fails, the stored one is read again; the old one no longer
    counts then.
    """
    old = lab.sign(UNKNOWN.encode())
    assert _accepted(lab.webhook(UNKNOWN, old))
    lab.put_secrets("whsec_new")
    assert _accepted(lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret="whsec_new")))
    assert _refused(lab.webhook(UNKNOWN, old))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [(0, True), (290, True), (310, False), (86_400, False), (-290, True), (-310, False)],
)
def test_timestamps_count_within_five_minutes_both_ways(
    lab: Lab, age: int, *, accepted: bool
) -> None:
    """S-3, S-4, S-6: a genuine retry has a new timestamp; the SDK alone would take any in the
    future.
    """
    said = lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), at=int(time.time()) - age))
    assert _accepted(said) if accepted else _refused(said)


def test_another_timestamp_under_the_same_digest_is_refused(lab: Lab) -> None:
    """The timestamp is part of what is signed: a captured delivery cannot be made young again."""
    _, digest = _parts(lab.sign(UNKNOWN.encode(), at=int(time.time()) - 1000))
    assert _refused(lab.webhook(UNKNOWN, f"t={int(time.time())},{digest}"))


@pytest.mark.parametrize(
    "stored",
    ['{"secrets": "whsec_9f2c"}', '{"secrets": {"w": 1}}', '{"secrets": [7]}', '{"secrets": null}'],
)
def test_secrets_that_are_no_list_of_texts_stop_the_endpoint(lab: Lab, stored: str) -> None:
    """S-7: each letter of a text, or each name of an object, would be a secret that anyone can
    guess.
    """
    lab.put_secret("WebhookSecretsSecret", stored)
    assert lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret="w")).status == 500


@pytest.mark.parametrize(
    "stored",
    [
        '{"secrets": [""]}',
        '{"secrets": ["  "]}',
        '{"secrets": []}',
        "{}",
        "",
        "whsec_bare",
        "[]",
        "null",
    ],
)
def test_without_a_usable_secret_nothing_is_accepted(lab: Lab, stored: str) -> None:
    """S-7: a blank secret is one that everybody knows.

    5xx: Stripe goes on trying until the operator has put it right.
    """
    lab.put_secret("WebhookSecretsSecret", stored or " ")
    said = lab.webhook(UNKNOWN, lab.sign(UNKNOWN.encode(), secret=" "))
    assert (said.status, said.code) == (500, "internal_error")


def test_a_corrected_secret_is_used_by_the_next_request(lab: Lab) -> None:
    """S-7: what is of no use is not remembered."""
    lab.put_secret("WebhookSecretsSecret", '{"secrets": []}')
    assert lab.webhook(UNKNOWN).status == 500
    lab.put_secrets(lab.secret)
    assert lab.webhook(UNKNOWN).status == 200


def test_two_headers_that_were_joined_are_refused(lab: Lab) -> None:
    """S-12: API Gateway joins them with a comma, and one of the two might be genuine."""
    header = lab.sign(UNKNOWN.encode())
    for joined in (f"{header},{header}", f"t=1,v1={'0' * 64}, {header}"):
        said = lab.webhook(UNKNOWN, joined)
        assert (said.status, said.code) == (400, "invalid_signature")


def test_one_blank_secret_among_good_ones_stops_the_endpoint(lab: Lab) -> None:
    """S-7: better no answer than a forged credit."""
    lab.put_secrets(lab.secret, " ")
    assert lab.webhook(UNKNOWN).status == 500


def test_a_delivery_is_sent_again_when_the_secret_is_gone(lab: Lab) -> None:
    """5xx, so that Stripe delivers again, and an internal error: no later try can read it."""
    lab.boto("secretsmanager").delete_secret(
        SecretId="WebhookSecretsSecret", ForceDeleteWithoutRecovery=True
    )
    said = lab.webhook(UNKNOWN)
    assert (said.status, said.code) == (500, "internal_error")


HEADERS = {
    "nothing": "",
    "a word": "hello",
    "no timestamp": "v1=abc",
    "no signature": "t=1",
    "no number": "t=now,v1=abc",
    "digits of another script": "t=\u0661\u0662,v1=abc",
    "non-ASCII signature": "t=1,v1=é",
    "too many digits": f"t={'9' * 4000},v1=abc",
    "only commas": ",,,,",
    "t without value": "t,v1=abc",
    "too long": "t=1," + "v1=a," * 2000,
    "nul": "t=1,v1=\x00",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_malformed_header_is_refused_before_anything_else(lab: Lab, header: str) -> None:
    """S-8: only Stripe's own deliveries can cause a 5xx."""
    assert _refused(lab.webhook(UNKNOWN, header))


@pytest.mark.parametrize("change", [lambda text: text.replace(",", ", "), str.upper])
def test_a_rebuilt_header_is_refused(lab: Lab, change: Callable[[str], str]) -> None:
    """S-10: spaces and upper case are not what Stripe sends."""
    assert _refused(lab.webhook(UNKNOWN, change(lab.sign(UNKNOWN.encode()))))


def _signed(lab: Lab, names: dict[str, list[str]], *, is_base64: bool = False) -> Said:
    """A delivery with these headers, of which ``{}`` in a value is the signature."""
    signature = lab.sign(UNKNOWN.encode())
    headers = {
        name: [value.replace("{}", signature) for value in values] for name, values in names.items()
    }
    body = base64.b64encode(UNKNOWN.encode()).decode() if is_base64 else UNKNOWN
    route, _ = lab.route("POST", f"{API}/payments/webhook")
    event = gateway_event(
        route, route.path, {}, {name: ",".join(values) for name, values in headers.items()}, body
    )
    return lab.invoke("webhook", event | {"isBase64Encoded": is_base64})


@pytest.mark.parametrize("is_base64", [True, False])
@pytest.mark.parametrize("name", ["Stripe-Signature", "stripe-signature", "STRIPE-SIGNATURE"])
def test_a_delivery_is_read_in_both_encodings(lab: Lab, name: str, *, is_base64: bool) -> None:
    """S-11, S-12: the signature is over the decoded bytes, the header's case is
    nobody's business.
    """
    assert _accepted(_signed(lab, {name: ["{}"]}, is_base64=is_base64))


@pytest.mark.parametrize("values", [["{}", "{}"], ["t=1,v1=x", "{}"], ["{}", "t=1,v1=x"]])
def test_two_signature_headers_are_refused(lab: Lab, values: list[str]) -> None:
    """S-12: API Gateway joins them with a comma.

    Where both are the same valid one, joining them changes nothing.
    """
    said = _signed(lab, {"Stripe-Signature": values})
    assert _refused(said) or (values == ["{}", "{}"] and _accepted(said))


def test_a_delivery_without_headers_is_refused(lab: Lab) -> None:
    """S-12: also where there is not even a mapping."""
    assert _refused(lab.invoke("webhook", {"version": "2.0", "headers": None, "body": UNKNOWN}))


def test_a_body_that_is_no_base64_is_refused(lab: Lab) -> None:
    """S-11: and blamed on the caller."""
    said = lab.webhook(UNKNOWN, body="no base64!", isBase64Encoded=True)
    assert (said.status, said.code) == (400, "invalid_payload")


SPELLINGS = {
    "sorted": lambda event: json.dumps(event, sort_keys=True),
    "compact": lambda event: json.dumps(event, separators=(",", ":")),
    "escaped": lambda event: json.dumps(event, ensure_ascii=True, indent=2),
    "with a line at the end": lambda event: json.dumps(event, ensure_ascii=False, indent=2) + "\n",
    "with Windows lines": lambda event: json.dumps(event, ensure_ascii=False, indent=2).replace(
        "\n", "\r\n"
    ),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_body_that_was_encoded_again_is_refused(lab: Lab, spell: Callable[[Any], str]) -> None:
    """S-13: the same JSON in other bytes is not what was signed."""
    event = json.loads(UNKNOWN) | {"name": "Zoë"}
    original = json.dumps(event, ensure_ascii=False, indent=2)
    again = spell(event)
    assert json.loads(again) == event
    assert again != original
    signature = lab.sign(original.encode())
    assert _accepted(lab.webhook(original, signature))
    assert _refused(lab.webhook(again, signature))


def test_non_ascii_bodies_verify_in_both_encodings(lab: Lab) -> None:
    """S-13: as raw UTF-8 in the event's text too."""
    body = json.dumps(json.loads(UNKNOWN) | {"name": "Zoë 🙂"}, ensure_ascii=False)
    signature = lab.sign(body.encode())
    assert _accepted(lab.webhook(body, signature))
    assert _accepted(lab.webhook(body, signature, body=body, isBase64Encoded=False))


def test_a_replayed_delivery_is_harmless(lab: Lab) -> None:
    """S-19: nothing is settled twice because a captured request comes again."""
    signature = lab.sign(UNKNOWN.encode())
    assert [_accepted(lab.webhook(UNKNOWN, signature)) for _ in range(3)] == [True] * 3
