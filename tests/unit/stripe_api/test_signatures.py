import json
import time
from collections.abc import Sequence

import pytest
from billing.errors import BillingError
from billing.stripe_api.signatures import verified_event
from stripe import WebhookSignature

BODY = json.dumps({"id": "evt_1", "object": "event"}).encode()
OLD, NEW = "whsec_the_old_one", "whsec_the_new_one"


def _deliver(
    *, signed_with: str, age: int = 0, stored: Sequence[str] = (OLD,), fresh: Sequence[str] = (OLD,)
) -> str:
    """``ok``, or the code of the refusal.

    The SDK looks at the true clock, so the signature is made for it.
    """
    now = int(time.time())
    header = WebhookSignature.generate_signature_header(BODY.decode(), signed_with, now - age)
    try:
        verified_event(BODY, header, lambda anew: fresh if anew else stored, lambda: now)
    except BillingError as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize(
    ("age", "said"),
    [(0, "ok"), (280, "ok"), (320, "invalid_signature"), (-280, "ok"), (-320, "invalid_signature")],
)
def test_a_timestamp_counts_for_five_minutes_both_ways(age: int, said: str) -> None:
    """A captured delivery is of no use later."""
    assert _deliver(signed_with=OLD, age=age) == said


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_while_secrets_are_rolled_either_of_them_signs(secret: str) -> None:
    """Stripe signs with the old one for up to a day."""
    assert _deliver(signed_with=secret, stored=(OLD, NEW), fresh=(OLD, NEW)) == "ok"


def test_a_secret_that_was_just_rolled_is_read_again() -> None:
    """The container still remembers the old one."""
    assert _deliver(signed_with=NEW, stored=(OLD,), fresh=(NEW,)) == "ok"


def test_a_secret_that_was_just_rolled_is_read_again_up_to_the_last_second() -> None:
    """Five minutes in the future is as far as Stripe's clock may be ahead."""
    found = [
        _deliver(signed_with=NEW, age=age, stored=(OLD,), fresh=(NEW,)) for age in (-300, -301)
    ]
    assert found == ["ok", "invalid_signature"]


def test_a_signature_with_another_secret_is_refused() -> None:
    assert (
        _deliver(signed_with="whsec_of_somebody_else", stored=(OLD, NEW), fresh=(OLD, NEW))
        == "invalid_signature"
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "hello",
        "t={now}",
        "v1={digest}",
        "t={now},v0={digest}",
        "t={now},v1=abc",
        "t={old},v1={digest}",
        "t={far},v1={digest}",
        "t=x,v1={digest}",
    ],
)
def test_an_impossible_signature_reads_no_secret(header: str) -> None:
    """Noise and old deliveries sent again cost no call."""
    now = int(time.time())
    header = header.format(now=now, old=now - 301, far=now + 301, digest="0" * 64)
    asked: list[bool] = []

    def secrets(anew: bool) -> Sequence[str]:  # noqa: FBT001 - the signature's own protocol
        asked.append(anew)
        return (OLD,)

    with pytest.raises(BillingError, match="invalid_signature"):
        verified_event(BODY, header, secrets, lambda: now)
    assert asked == ([False] if header else []), "without a header no secret is needed at all"
