"""Ids and times in answers are those of the things that they name."""

from billing.storage.keys import user_key
from billing.storage.writes import Write
from functional.lab import Lab
from simulator.lab import Lab as Stripe
from support import builders


def test_a_payments_session_is_the_one_that_the_buyer_was_sent_to(
    lab: Lab, stripe_side: Stripe
) -> None:
    """In each answer about it, before and after it is paid; of two purchases, each its own."""
    bought = [
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).json
        for _ in range(2)
    ]
    for one in bought:
        assert stripe_side.session(one["session_id"]).metadata["payment_id"] == one["payment_id"]
        assert one["url"] == stripe_side.session(one["session_id"]).url
        stripe_side.control(f"sessions/{one['session_id']}/pay", method="card")
        for said in (
            lab.call("GET", f"/payments/{one['payment_id']}", sub="alice"),
            lab.call("GET", f"/payments/{one['session_id']}", sub="alice"),
            lab.call("POST", f"/payments/{one['payment_id']}/confirm", sub="alice"),
        ):
            assert (said.json["payment_id"], said.json["session_id"]) == (
                one["payment_id"],
                one["session_id"],
            )
    listed = lab.call("GET", "/payments", sub="alice").json["payments"]
    pairs = [(one["payment_id"], one["session_id"]) for one in bought]
    assert sorted((row["payment_id"], row["session_id"]) for row in listed) == sorted(pairs)
    entries = lab.call("GET", "/quota/ledger", sub="alice").json["entries"]
    assert [row["reference_id"] for row in reversed(entries)] == [
        one["session_id"] for one in bought
    ]


def test_a_payment_is_the_sessions_that_paid_it_and_is_found_by_both(lab: Lab) -> None:
    """The first session expired, and another one of the same payment was paid."""
    payment = builders.pending(lab.books)
    lab.deliver(builders.expired(payment))
    assert (
        lab.call("GET", f"/payments/{payment.payment_id}", sub="alice").json["session_id"]
        == payment.session_id
    )
    assert lab.deliver(builders.completed(payment, id="cs_test_second")).json == {
        "status": "settled"
    }
    for name in (payment.payment_id, payment.session_id, "cs_test_second"):
        said = lab.call("GET", f"/payments/{name}", sub="alice").json
        assert (said["payment_id"], said["session_id"], said["status"]) == (
            payment.payment_id,
            "cs_test_second",
            "completed",
        )
    (entry,) = lab.call("GET", "/quota/ledger", sub="alice").json["entries"]
    assert entry["reference_id"] == "cs_test_second"


def test_a_payment_that_lost_its_session_has_the_one_that_paid_it(lab: Lab) -> None:
    """A restore may have taken it: the event says which it was."""
    payment = builders.pending(lab.books)
    lab.books.store.commit(
        Write("payments", (user_key("alice"), payment.payment_id), remove=("session_id",))
    )
    assert (
        lab.call("GET", f"/payments/{payment.payment_id}", sub="alice").json["session_id"] is None
    )
    lab.deliver(builders.completed(payment))
    assert (
        lab.call("GET", f"/payments/{payment.payment_id}", sub="alice").json["session_id"]
        == payment.session_id
    )


def test_a_payment_without_a_session_yet_has_none(lab: Lab, stripe_side: Stripe) -> None:
    """Stripe could not be asked: the record is there, and its session is null."""
    stripe_side.control("faults", route="POST /v1/checkout/sessions", status=500, times=20)
    assert (
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).status == 502
    )
    stripe_side.control("faults", route="POST /v1/checkout/sessions", status=500, times=0)
    (row,) = lab.call("GET", "/payments", sub="alice").json["payments"]
    assert (row["session_id"], row["status"]) == (None, "pending")


def test_a_quota_says_when_it_was_changed_last(lab: Lab) -> None:
    """By a purchase that is the moment of its entry; reading is no change, a debit is, and nobody's
    quota has none.
    """
    assert lab.call("GET", "/quota", sub="alice").json["updated_at"] is None
    lab.deliver(builders.completed(builders.pending(lab.books)))
    (entry,) = lab.call("GET", "/quota/ledger", sub="alice").json["entries"]
    bought = lab.call("GET", "/quota", sub="alice").json["updated_at"]
    assert bought == entry["booked_at"]
    assert lab.call("GET", "/quota", sub="alice").json["updated_at"] == bought
    body = {"user_id": "alice", "units": 1}
    assert (
        lab.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body).status
        == 200
    )
    assert lab.call("GET", "/quota", sub="alice").json["updated_at"] > bought
