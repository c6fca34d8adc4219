"""Deliveries: signed, tried until a 2xx, lost or doubled or shuffled as asked for.
https://docs.stripe.com/webhooks.
"""

import json
import time
from pathlib import Path

import pytest
import stripe
from simulator.lab import KEY, QUICK, SECRET, Lab, Receiver, lab, receiving

from infra.stripe_simulator.deliveries.sender import IN_FLIGHT_MAX
from infra.stripe_simulator.settings import Timing

CARD = [
    "charge.succeeded",
    "checkout.session.completed",
    "payment_intent.created",
    "payment_intent.succeeded",
]


def test_every_event_arrives_signed(stripe_lab: Lab) -> None:
    """Stripe's own verification accepts it over the raw bytes, and refuses it
    with another secret.
    """
    stripe_lab.pay(metadata={"name": "Zoë 小明"})
    stripe_lab.idle()
    assert sorted(stripe_lab.receiver.types) == CARD
    for body, signature in stripe_lab.receiver.got:
        event = stripe.Webhook.construct_event(body, signature, SECRET)
        assert stripe_lab.client.v1.events.retrieve(event.id).type == event.type
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, signature, SECRET + "x")
    assert any("小明" in body.decode() for body, _ in stripe_lab.receiver.got)


def test_pending_webhooks_counts_down(stripe_lab: Lab) -> None:
    """From the number of endpoints that want the event to none."""
    stripe_lab.control("deliveries", pause=True)
    stripe_lab.pay()
    assert {event.pending_webhooks for event in stripe_lab.client.v1.events.list().data} == {1}
    stripe_lab.control("deliveries", pause=False)
    stripe_lab.idle()
    assert {event.pending_webhooks for event in stripe_lab.client.v1.events.list().data} == {0}


@pytest.mark.parametrize("status", [500, 400, 410, 302, 404])
def test_anything_but_a_2xx_is_tried_again(stripe_lab: Lab, status: int) -> None:
    """Redirects too, and they are not followed. Each try has a signature of its own and
    carries the same event.
    """
    stripe_lab.receiver.statuses = [status, status, 204]
    session = stripe_lab.create()
    stripe_lab.client.v1.checkout.sessions.expire(session.id)
    attempts = stripe_lab.attempts(3)
    assert len({event["id"] for event in stripe_lab.receiver.events}) == 1
    assert [(row["status"], row["ok"], row["url"]) for row in attempts] == [
        (status, False, stripe_lab.receiver.url),
        (status, False, stripe_lab.receiver.url),
        (204, True, stripe_lab.receiver.url),
    ]
    assert stripe_lab.event("checkout.session.expired")["pending_webhooks"] == 0


def test_an_endpoint_that_does_not_answer_is_tried_again_and_at_last_given_up() -> None:
    nobody = Receiver(url="http://127.0.0.1:9/")
    with lab(nobody, timing=Timing(pauses_seconds=(0.01, 0.01), answer_seconds_max=0.5)) as found:
        session = found.create()
        found.client.v1.checkout.sessions.expire(session.id)
        found.attempts(3)
        found.control("clock", advance_seconds=3600)
        attempts = found.attempts(3)
        assert [(row["status"], row["ok"]) for row in attempts] == [(None, False)] * 3
        assert found.event("checkout.session.expired")["pending_webhooks"] == 1


def test_a_dropped_event_is_lost_for_good_but_listed(stripe_lab: Lab) -> None:
    stripe_lab.control("deliveries", drop=1)
    stripe_lab.pay()
    stripe_lab.control("deliveries", drop=0)
    stripe_lab.control("clock", advance_seconds=3600)
    stripe_lab.idle()
    assert stripe_lab.receiver.got == []
    assert sorted(stripe_lab.types()) == CARD
    assert {event.pending_webhooks for event in stripe_lab.client.v1.events.list().data} == {1}


def test_a_duplicated_event_arrives_twice_under_one_id(stripe_lab: Lab) -> None:
    stripe_lab.control("deliveries", duplicate=1)
    stripe_lab.pay()
    stripe_lab.idle()
    assert sorted(stripe_lab.receiver.types) == sorted(CARD * 2)
    assert len({event["id"] for event in stripe_lab.receiver.events}) == 4
    assert {event.pending_webhooks for event in stripe_lab.client.v1.events.list().data} == {0}


def test_paused_events_wait_and_arrive_afterwards(stripe_lab: Lab) -> None:
    stripe_lab.control("deliveries", pause=True)
    stripe_lab.pay()
    stripe_lab.idle()
    assert stripe_lab.receiver.got == []
    stripe_lab.control("deliveries", pause=False)
    stripe_lab.idle()
    assert sorted(stripe_lab.receiver.types) == CARD


def test_reordered_events_arrive_shuffled_and_complete(stripe_lab: Lab) -> None:
    """In order, the n-th to arrive would be among the first n and those under way at once; sixty do
    so by chance once in 10^15.
    """
    stripe_lab.control("deliveries", pause=True)
    made = [stripe_lab.create().id for _ in range(60)]
    for name in made:
        stripe_lab.client.v1.checkout.sessions.expire(name)
    stripe_lab.control("deliveries", pause=False, reorder=True)
    stripe_lab.idle()
    arrived = [made.index(event["data"]["object"]["id"]) for event in stripe_lab.receiver.events]
    assert sorted(arrived) == list(range(60))
    assert any(index >= place + IN_FLIGHT_MAX for place, index in enumerate(arrived))


def test_while_reordering_an_event_is_held_back_so_that_later_ones_pass_it(
    receiver: Receiver,
) -> None:
    """By a clock that stands still: the first stays, the second goes."""
    moment = time.time()
    with lab(receiver, timing=Timing(clock=lambda: moment)) as found:
        first, second = found.create().id, found.create().id
        found.control("deliveries", reorder=True)
        found.client.v1.checkout.sessions.expire(first)
        found.control("deliveries", reorder=False)
        found.client.v1.checkout.sessions.expire(second)
        found.until(lambda: len(receiver.got) > 0)
        found.control("clock", advance_seconds=1)
        found.idle()
        assert [event["data"]["object"]["id"] for event in receiver.events] == [second, first]


def test_an_event_can_be_sent_again_and_can_have_a_twin(stripe_lab: Lab) -> None:
    """The same id once more; another id for the same change."""
    stripe_lab.client.v1.checkout.sessions.expire(stripe_lab.create().id)
    stripe_lab.idle()
    event = stripe_lab.event("checkout.session.expired")
    stripe_lab.control(f"events/{event['id']}/resend")
    twin = stripe_lab.control(f"events/{event['id']}/twin")
    stripe_lab.idle()
    assert sorted(row["id"] for row in stripe_lab.receiver.events) == sorted(
        [event["id"], event["id"], twin["id"]]
    )
    assert twin["id"] != event["id"]
    assert (twin["type"], twin["data"]) == (event["type"], event["data"])
    assert [row.pending_webhooks for row in stripe_lab.client.v1.events.list().data] == [0, 0]


def test_an_endpoint_made_by_the_api_gets_what_it_asked_for_under_its_own_secret(
    stripe_lab: Lab,
) -> None:
    """Until it is disabled or deleted. The secret is shown once."""
    with receiving() as other:
        made = stripe_lab.client.v1.webhook_endpoints.create(
            {"url": other.url, "enabled_events": ["charge.succeeded"], "metadata": {"a": "1"}}
        )
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        assert "secret" not in stripe_lab.client.v1.webhook_endpoints.retrieve(made.id)
        stripe_lab.pay()
        stripe_lab.idle()
        assert other.types == ["charge.succeeded"]
        assert stripe.Webhook.construct_event(*other.got[0], made.secret).type == "charge.succeeded"
        assert sorted(stripe_lab.receiver.types) == CARD
        changed = stripe_lab.client.v1.webhook_endpoints.update(
            made.id, {"enabled_events": ["*"], "metadata": {"b": "2"}}
        )
        assert changed.metadata.to_dict() == {"a": "1", "b": "2"}
        stripe_lab.client.v1.checkout.sessions.expire(stripe_lab.create().id)
        stripe_lab.idle()
        assert other.types[-1] == "checkout.session.expired"
        assert (
            stripe_lab.client.v1.webhook_endpoints.update(made.id, {"disabled": True}).status
            == "disabled"
        )
        stripe_lab.pay()
        stripe_lab.idle()
        assert len(other.got) == 2
        assert stripe_lab.client.v1.webhook_endpoints.delete(made.id).deleted is True
        assert stripe_lab.client.v1.webhook_endpoints.list().data == []


@pytest.mark.parametrize(("disabled_seconds", "arrived"), [(3601, 1), (1, 2)])
def test_a_retry_that_falls_due_while_the_endpoint_is_disabled_is_the_last(
    receiver: Receiver, disabled_seconds: int, arrived: int
) -> None:
    """Enabling it again brings nothing back; before the retry was due, it does."""
    with lab(
        Receiver(url="http://127.0.0.1:9/"), timing=Timing(QUICK.clock, pauses_seconds=(3600,))
    ) as found:
        hooks = found.client.v1.webhook_endpoints
        made = hooks.create({"url": receiver.url, "enabled_events": ["checkout.session.expired"]})
        receiver.statuses = [503]
        found.client.v1.checkout.sessions.expire(found.create().id)
        found.until(lambda: len(receiver.got) == 1)
        found.idle()
        hooks.update(made.id, {"disabled": True})
        found.control("clock", advance_seconds=disabled_seconds)
        found.idle()
        hooks.update(made.id, {"disabled": False})
        found.control("clock", advance_seconds=3601)
        found.idle()
        assert len(receiver.got) == arrived


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"url": "nowhere", "enabled_events[]": "*"}, "url"),
        (
            {"url": "http://127.0.0.1:9/", "enabled_events[]": "charge.exploded"},
            "enabled_events[0]",
        ),
        ({"enabled_events[]": "*"}, "url"),
        ({"url": "http://127.0.0.1:9/"}, "enabled_events"),
    ],
)
def test_an_endpoint_that_stripe_would_refuse_is_refused(
    stripe_lab: Lab, form: dict[str, str], param: str
) -> None:
    assert stripe_lab.error("POST", "/v1/webhook_endpoints", form)["param"] == param


def test_a_host_header_can_be_given_to_an_endpoint(receiver: Receiver) -> None:
    """A Lambda Function URL on the embedded AWS is told apart by it."""
    with lab(receiver, host="abc.lambda-url.test") as found:
        found.client.v1.checkout.sessions.expire(found.create().id)
        found.idle()
        assert receiver.hosts == ["abc.lambda-url.test"]


def test_a_stop_keeps_objects_keys_and_what_was_still_to_be_delivered(
    receiver: Receiver, tmp_path: Path
) -> None:
    with lab(receiver, tmp_path / "state.sqlite") as before:
        before.control("deliveries", pause=True)
        before.control("clock", advance_seconds=100)
        session = before.pay()
        kept = before.call(
            "POST",
            "/v1/refunds",
            {"charge": session.payment_intent.latest_charge.id},
            idempotency_key="k",
        ).json()
        types = before.types()
        assert receiver.got == []
    assert [file.name for file in tmp_path.iterdir()] == ["state.sqlite"], "the file was not closed"
    with lab(receiver, tmp_path / "state.sqlite") as after:
        after.idle()
        assert sorted(receiver.types) == sorted(types)
        assert after.types() == types
        assert after.session(session.id).payment_status == "paid"
        again = after.call(
            "POST",
            "/v1/refunds",
            {"charge": session.payment_intent.latest_charge.id},
            idempotency_key="k",
        )
        assert (again.json(), again.headers["idempotent-replayed"]) == (kept, "true")


def test_a_burst_after_a_pause_arrives_whole(stripe_lab: Lab) -> None:
    """More than may be under way concurrently."""
    stripe_lab.control("deliveries", pause=True)
    for _ in range(20):
        stripe_lab.pay()
    stripe_lab.control("deliveries", pause=False)
    stripe_lab.idle()
    assert sorted(json.loads(body)["type"] for body, _ in stripe_lab.receiver.got) == sorted(
        CARD * 20
    )


def test_waiting_retries_fall_due_when_the_clock_is_advanced(receiver: Receiver) -> None:
    """A test need not wait for an hour to see a retry."""
    receiver.statuses = [503]
    with lab(receiver, timing=Timing(QUICK.clock, pauses_seconds=(3600,))) as found:
        found.client.v1.checkout.sessions.expire(found.create().id)
        found.idle()
        assert len(receiver.got) == 1
        found.control("clock", advance_seconds=3601)
        found.idle()
        assert len(receiver.got) == 2
        assert found.event("checkout.session.expired")["pending_webhooks"] == 0
        body, signature = receiver.got[1]
        assert (
            stripe.Webhook.construct_event(body, signature, SECRET).type
            == "checkout.session.expired"
        )
        assert KEY not in body.decode()
