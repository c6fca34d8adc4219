"""Expressions and values that only a database's own reader can judge."""

import time
from typing import Any

import pytest
from billing.errors import AwsRefusedError, ConditionFailedError
from billing.storage.writes import Must, Write, absent, absent_or, equals, exists
from functional.lab import Lab
from simulator.lab import Lab as Stripe
from support.builders import completed, pending, refunded

EVERYTHING: dict[str, Any] = {
    "text": "ü",
    "whole": -7,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": ["a", 1, [False]],
    "map": {"a": {"b": 2}},
    "set": frozenset({"x", "y"}),
}
KEY = ("anybody", "anything")


def test_every_kind_of_value_is_read_as_it_was_written(lab: Lab) -> None:
    """Text, whole numbers, truth, nothing, lists, maps and sets."""
    lab.books.store.commit(Write("events", KEY, set=EVERYTHING))
    found = lab.books.store.get("events", KEY)
    assert found == {"subject": "anybody", "fact_id": "anything", **EVERYTHING}
    assert found["yes"] is True
    lab.books.store.commit(
        Write("events", KEY, add={"whole": 10, "set": frozenset({"z"})}, remove=("text",))
    )
    after = lab.books.store.get("events", KEY)
    assert after is not None
    assert (after["whole"], after["set"], "text" in after) == (3, frozenset({"x", "y", "z"}), False)


@pytest.mark.parametrize(
    ("must", "holds"),
    [
        (exists("number"), True),
        (exists("other"), False),
        (absent("other"), True),
        (absent("number"), False),
        (equals("number", 5), True),
        (equals("number", 6), False),
        (Must("number", ">=", 5), True),
        (Must("number", ">=", 6), False),
        (Must("number", "<=", 5), True),
        (Must("number", "<=", 4), False),
        (Must("number", "<", 6), True),
        (Must("number", "<", 5), False),
        (Must("number", ">", 4), True),
        (Must("number", ">", 5), False),
        (absent_or("number", ">", 4), True),
        (absent_or("number", ">", 5), False),
        (absent_or("other", ">", 5), True),
        (Must("other", ">", 5), False),
    ],
    ids=str,
)
def test_a_condition_holds_in_the_database_as_it_reads_here(
    lab: Lab, must: Must, *, holds: bool
) -> None:
    """Beside another one that holds; a refusal brings what stood there."""
    store = lab.books.store
    store.commit(Write("events", KEY, set={"number": 5}))
    write = Write("events", KEY, set={"done": 1}, must=(exists("subject"), must))
    if holds:
        store.commit(write)
        assert store.update(write)["done"] == 1
        return
    with pytest.raises(ConditionFailedError) as refused:
        store.commit(Write("events", ("somebody", "else"), set={"done": 1}), write)
    assert refused.value.old == {1: {"subject": "anybody", "fact_id": "anything", "number": 5}}
    assert store.get("events", ("somebody", "else")) is None
    with pytest.raises(ConditionFailedError):
        store.update(write)


def test_a_write_that_only_checks_and_one_that_deletes(lab: Lab) -> None:
    """A check changes nothing; a delete leaves nothing, and is refused like any other."""
    store = lab.books.store
    store.commit(Write("events", KEY, set={"number": 5}))
    other = Write("events", ("somebody", "else"), set={"done": 1})
    store.commit(Write("events", KEY, must=(equals("number", 5),)), other)
    assert store.get("events", KEY) == {"subject": "anybody", "fact_id": "anything", "number": 5}
    with pytest.raises(ConditionFailedError):
        store.commit(Write("events", KEY, delete=True, must=(equals("number", 6),)))
    store.commit(Write("events", KEY, delete=True, must=(equals("number", 5),)))
    assert store.get("events", KEY) is None


def test_an_impossible_transaction_is_an_internal_error(lab: Lab) -> None:
    """A set of texts is added to a number: asking again does not help."""
    lab.books.store.commit(Write("events", KEY, set={"number": 5}))
    with pytest.raises(AwsRefusedError):
        lab.books.store.commit(
            Write("events", KEY, add={"number": frozenset({"x"})}),
            Write("events", ("a", "b"), set={"c": 1}),
        )


def test_units_of_an_expired_hold_are_shown_as_released(lab: Lab) -> None:
    """Rows and balance are read together: an open hold and a closed one do not count."""
    now = int(time.time())
    lab.fund("alice", 60)
    store = lab.books.store
    store.commit(
        Write(
            "quotas",
            ("alice", "quota"),
            set={"held": 40, "holds_due": now - 5, "holds_placed": 3, "total": 100},
        )
    )
    for name, units, expires_at in (("aa", 15, now - 5), ("bb", 5, now - 4), ("cc", 20, now + 600)):
        store.commit(
            Write(
                "quotas",
                ("alice", f"hold#{expires_at:012d}#{name}"),
                set={"units": units, "expires_at": expires_at},
            )
        )
    store.commit(
        Write(
            "quotas",
            ("alice", f"closed#{now - 9:012d}#dd"),
            set={"units": 7, "expires_at": now - 9},
        )
    )
    assert lab.quota("alice") == {
        "user_id": "alice",
        "total": 100,
        "used": 0,
        "held": 20,
        "remaining": 80,
        "debt": 0,
        "expires_next": None,
    }


def test_a_refund_that_came_first_is_taken_back_with_the_purchase(lab: Lab) -> None:
    """It waited in a set of texts."""
    payment = pending(lab.books)
    assert lab.deliver(refunded(payment, 500)).status == 200
    assert lab.deliver(completed(payment)).status == 200
    assert lab.quota("alice")["remaining"] == 50


@pytest.mark.parametrize("switch", ["false", "true"])
def test_what_the_template_switches_on_is_on_stripes_page(
    lab: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    """Promotion codes and invoices; nothing of it where it is off."""
    monkeypatch.setenv("ALLOW_PROMOTION_CODES", switch)
    monkeypatch.setenv("INVOICE_CREATION", switch)
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    session = stripe_side.session(said.json["session_id"])
    assert (bool(session.allow_promotion_codes), session.invoice_creation.enabled) == (
        switch == "true",
    ) * 2


def test_a_transaction_of_nothing_or_of_too_much_is_not_sent(lab: Lab) -> None:
    """DynamoDB takes 1 to 100:
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
    """
    writes = [
        Write("events", ("many", str(number)), set={"number": number}) for number in range(101)
    ]
    for wrong in ([], writes):
        with pytest.raises(ValueError, match="1 to 100 writes"):
            lab.books.store.commit(*wrong)
    lab.books.store.commit(*writes[:100])
    assert len(lab.books.store.query("events", "many").items) == 100
    lab.books.store.commit(
        *(write._replace(key=("many", f"more{place}")) for place, write in enumerate(writes[:30]))
    )
    assert len(list(lab.books.store.pages("events", "many"))) == 130
    assert len(list(lab.books.store.pages("events", "many", "more"))) == 30
