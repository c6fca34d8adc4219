import json
from collections.abc import Iterator

import pytest
from billing.telemetry import metrics
from functional.lab import SITE, Lab
from simulator.lab import Lab as Stripe
from support import builders

CREATE = "POST /v1/checkout/sessions"


@pytest.fixture
def stripe_faults(stripe_side: Stripe) -> Iterator[Stripe]:
    """Stripe, to be made to fail; afterwards it works again."""
    yield stripe_side
    stripe_side.control("faults", route=CREATE, status=500, times=0)


@pytest.fixture
def counting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> pytest.CaptureFixture[str]:
    """What is printed from now on, figures too."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()
    capsys.readouterr()
    return capsys


def test_a_checkout_is_a_payment_and_a_session(lab: Lab, stripe_side: Stripe) -> None:
    """The answer of the contract, and the same facts at Stripe."""
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"})
    assert said.status == 201
    names = {
        "payment_id",
        "session_id",
        "url",
        "plan",
        "quota",
        "amount_minor",
        "amount",
        "currency",
        "status",
        "expires_at",
    }
    assert set(said.json) == names
    assert (
        said.json["status"],
        said.json["amount"],
        said.json["amount_minor"],
        said.json["quota"],
    ) == ("pending", "49.99", 4999, 1000)
    session = stripe_side.session(said.json["session_id"])
    assert (session.amount_total, session.currency, session.url) == (4999, "usd", said.json["url"])
    assert session.success_url == f"{SITE}/?session_id={{CHECKOUT_SESSION_ID}}"
    assert session.metadata.to_dict() == {
        "payment_id": said.json["payment_id"],
        "user_id": "alice",
        "plan": "pro",
        "quota": "1000",
        "stack": "topup-test",
        "deployment": builders.DEPLOYMENT,
    }


def test_the_same_key_and_body_replay_the_first_answer(lab: Lab) -> None:
    """One payment, one session, however often; another user's key is another key."""
    first = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k 1"
    )
    again = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k 1"
    )
    other = lab.call(
        "POST", "/payments/checkout", sub="bob", body={"plan": "pro"}, idempotency_key="k 1"
    )
    assert (again.status, again.json) == (201, first.json)
    assert other.json["payment_id"] != first.json["payment_id"]


def test_the_same_key_with_another_body_is_a_conflict(lab: Lab) -> None:
    """409, and no second payment."""
    assert (
        lab.call(
            "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
        ).status
        == 201
    )
    before = lab.everything()
    said = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "starter"}, idempotency_key="k"
    )
    assert (said.status, said.code) == (409, "idempotency_conflict")
    assert lab.everything() == before


def test_without_a_key_every_call_is_a_payment(lab: Lab) -> None:
    """A user may buy the same plan twice."""
    ids = {
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).json["payment_id"]
        for _ in range(3)
    }
    assert len(ids) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_when_stripe_has_trouble_the_buyer_may_retry_under_the_same_key(
    lab: Lab, stripe_faults: Stripe, status: int
) -> None:
    """Stripe stores its own 5xx under a key for a day: the retry must not meet it again (C5)."""
    stripe_faults.control("faults", route=CREATE, status=status, times=20)
    said = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
    )
    assert (said.status, said.code) == (502, "stripe_unavailable")
    stripe_faults.control("faults", route=CREATE, status=status, times=0)
    again = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
    )
    assert again.status == 201
    assert len(lab.call("GET", "/payments", sub="alice").json["payments"]) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_a_permanent_refusal_of_stripe_is_answered_logged_and_counted(
    lab: Lab,
    stripe_faults: Stripe,
    status: int,
    counting: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A key that is wrong, a parameter that is: trying again does not help, and an operator is
    informed at the first.
    """
    stripe_faults.control("faults", route=CREATE, status=status, times=20)
    said = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
    )
    assert (said.status, said.code) == (502, "stripe_refused")
    assert "again" not in said.json["detail"]
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "stripe refused"]
    assert line["request_id"] == said.json["request_id"]
    assert line["stripe"]["message"] == "A planned fault."
    assert (line["stripe"]["http_status"], line["stripe"]["type"]) == (
        status,
        "invalid_request_error",
    )
    assert line["stripe"]["request_id"].startswith("req_")
    (counted,) = [
        json.loads(text) for text in counting.readouterr().out.splitlines() if "_aws" in text
    ]
    assert counted["stripe_refused"] == [1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_after_the_cause_is_fixed_the_same_key_buys(
    lab: Lab, stripe_faults: Stripe, status: int
) -> None:
    """One payment, and no key that is stuck for ever."""
    stripe_faults.control("faults", route=CREATE, status=status, times=20)
    assert (
        lab.call(
            "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
        ).status
        == 502
    )
    stripe_faults.control("faults", route=CREATE, status=status, times=0)
    again = lab.call(
        "POST", "/payments/checkout", sub="alice", body={"plan": "pro"}, idempotency_key="k"
    )
    assert again.status == 201
    assert len(lab.call("GET", "/payments", sub="alice").json["payments"]) == 1


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
def test_with_automatic_tax_the_price_says_whether_it_includes_tax(
    lab: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch, behavior: str
) -> None:
    """Stripe refuses an inline price without, unless the account has a default."""
    monkeypatch.setenv("AUTOMATIC_TAX", "true")
    monkeypatch.setenv("TAX_BEHAVIOR", behavior)
    bought = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).json
    (line,) = stripe_side.client.v1.checkout.sessions.line_items.list(bought["session_id"]).data
    assert line.price is not None
    assert line.price.tax_behavior == behavior


def test_a_stripe_key_that_was_rolled_is_read_again(lab: Lab) -> None:
    """The key in memory is refused, the stored one is tried once."""
    good = lab.boto("secretsmanager").get_secret_value(SecretId="StripeKeySecret")["SecretString"]
    lab.put_secret("StripeKeySecret", "sk_test_before_the_roll")
    assert lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).status == 502
    lab.put_secret("StripeKeySecret", good)
    assert lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).status == 201


def test_without_a_site_customers_come_back_to_the_api_itself(
    lab: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is what API Gateway says it is, never a header that a caller could set."""
    monkeypatch.setenv("SITE_URL", "")
    said = lab.call(
        "POST",
        "/payments/checkout",
        sub="alice",
        body={"plan": "pro"},
        host="evil.example.com",
        x_forwarded_host="evil",
    )
    session = stripe_side.session(said.json["session_id"])
    assert session.success_url.startswith("https://api.example.com/")
    assert session.cancel_url.startswith("https://api.example.com/")


def test_confirm_settles_what_the_buyer_has_paid(lab: Lab, stripe_side: Stripe) -> None:
    """Before any webhook; a second time changes nothing; the webhook afterwards is a duplicate."""
    bought = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).json
    unpaid = lab.call("POST", f"/payments/{bought['session_id']}/confirm", sub="alice")
    assert (unpaid.status, unpaid.json["status"]) == (200, "pending")
    stripe_side.control(f"sessions/{bought['session_id']}/pay", method="card")
    for name in ("session_id", "payment_id"):
        said = lab.call("POST", f"/payments/{bought[name]}/confirm", sub="alice")
        assert (said.status, said.json["status"]) == (200, "completed")
    assert lab.deliver(stripe_side.event("checkout.session.completed")).json == {
        "status": "duplicate"
    }
    assert lab.quota("alice")["remaining"] == 1000


def test_a_receipt_is_shown_to_its_buyer_alone_once_something_was_paid(
    lab: Lab, stripe_side: Stripe
) -> None:
    """By payment or session. Other users cannot find out that it exists."""
    bought = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).json
    assert lab.call("GET", f"/payments/{bought['payment_id']}/receipt", sub="alice").status == 404
    stripe_side.control(f"sessions/{bought['session_id']}/pay", method="card")
    lab.call("POST", f"/payments/{bought['session_id']}/confirm", sub="alice")
    for name in ("payment_id", "session_id"):
        said = lab.call("GET", f"/payments/{bought[name]}/receipt", sub="alice")
        assert said.status == 200
        assert said.json["receipt_url"].startswith(f"{stripe_side.url}/receipts/ch_")
        assert (
            lab.call("GET", f"/payments/{bought[name]}/receipt", sub="bob").json["code"]
            == "not_found"
        )


def test_confirm_while_stripe_has_trouble_loses_nothing(lab: Lab, stripe_side: Stripe) -> None:
    """502, and the next call settles."""
    bought = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"}).json
    stripe_side.control(f"sessions/{bought['session_id']}/pay", method="card")
    stripe_side.control("faults", route="GET /v1/checkout/sessions/{id}", status=500, times=1)
    said = lab.call("POST", f"/payments/{bought['payment_id']}/confirm", sub="alice")
    assert (said.status, said.code) == (502, "stripe_unavailable")
    assert (
        lab.call("POST", f"/payments/{bought['payment_id']}/confirm", sub="alice").json["status"]
        == "completed"
    )


def test_everyone_sees_what_is_for_sale(lab: Lab) -> None:
    """The catalogue starts with three plans, prices whole and as decimals."""
    said = lab.call("GET", "/plans")
    assert said.status == 200
    prices = {
        plan["id"]: (plan["amount_minor"], plan["amount"], plan["currency"], plan["quota"])
        for plan in said.json["plans"]
    }
    assert prices == {
        "starter": (999, "9.99", "usd", 100),
        "pro": (4999, "49.99", "usd", 1000),
        "enterprise": (29999, "299.99", "usd", 10000),
    }
