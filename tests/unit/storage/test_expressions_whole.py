"""How writes and values are spelled for DynamoDB, form by form."""

from datetime import UTC, datetime
from typing import Any

import pytest
from billing.storage.expressions import spell
from billing.storage.values import decode, encode
from billing.storage.writes import (
    Must,
    Write,
    absent,
    absent_or,
    creates,
    equals,
    exists,
)

KEY = ("alice", "quota")
VALUES: list[tuple[Any, dict[str, Any]]] = [
    ("text", {"S": "text"}),
    ("", {"S": ""}),
    (True, {"BOOL": True}),
    (False, {"BOOL": False}),
    (5, {"N": "5"}),
    (-(10**18), {"N": "-1000000000000000000"}),
    (None, {"NULL": True}),
    ({"a": 1, "b": None}, {"M": {"a": {"N": "1"}, "b": {"NULL": True}}}),
    ([1, "a", [True]], {"L": [{"N": "1"}, {"S": "a"}, {"L": [{"BOOL": True}]}]}),
    (frozenset({"b", "a", "c"}), {"SS": ["a", "b", "c"]}),
]
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html"""


@pytest.mark.parametrize(("value", "stored"), VALUES)
def test_a_value_is_encoded_by_its_type_and_read_again(value: Any, stored: dict[str, Any]) -> None:
    assert encode(value) == stored
    found = decode({"one": stored, "two": {"N": "2"}})
    assert found == {"one": value, "two": 2}
    assert type(found["one"]) is type(value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [((1, "a"), {"L": [{"N": "1"}, {"S": "a"}]}), ({"b", "a"}, {"SS": ["a", "b"]})],
)
def test_other_collections_are_encoded_as_well(value: Any, stored: dict[str, Any]) -> None:
    assert encode(value) == stored


@pytest.mark.parametrize(
    "value", [0.5, b"x", object(), datetime.now(UTC)], ids=["float", "bytes", "object", "date"]
)
def test_a_value_of_another_type_is_refused_by_its_name(value: object) -> None:
    why = f"^{type(value).__name__} is not stored: books hold text, integers and collections"
    with pytest.raises(TypeError, match=why):
        encode(value)


CONDITIONS: list[tuple[Must, str]] = [
    (equals("a", 5), "#0 = :0"),
    (Must("a", ">=", 5), "#0 >= :0"),
    (Must("a", "<=", 5), "#0 <= :0"),
    (Must("a", "<", 5), "#0 < :0"),
    (Must("a", ">", 5), "#0 > :0"),
    (absent_or("a", "==", 5), "(attribute_not_exists (#0) OR #0 = :0)"),
    (absent_or("a", "<", 5), "(attribute_not_exists (#0) OR #0 < :0)"),
]


@pytest.mark.parametrize(("must", "spelled"), CONDITIONS, ids=str)
def test_a_clause_is_spelled_with_its_operator(must: Must, spelled: str) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html."""
    assert spell(Write("quotas", KEY, must=(must,))) == {
        "ConditionExpression": spelled,
        "ExpressionAttributeNames": {"#0": "a"},
        "ExpressionAttributeValues": {":0": {"N": "5"}},
    }


@pytest.mark.parametrize(
    ("must", "spelled"),
    [(exists("a"), "attribute_exists (#0)"), (absent("a"), "attribute_not_exists (#0)")],
)
def test_a_clause_about_existence_has_no_value(must: Must, spelled: str) -> None:
    assert spell(Write("quotas", KEY, must=(must,))) == {
        "ConditionExpression": spelled,
        "ExpressionAttributeNames": {"#0": "a"},
    }


def test_all_parts_of_a_write_are_spelled_each_with_its_own_value() -> None:
    """A name that stands in two places is one."""
    write = Write(
        "quotas",
        KEY,
        set={"s1": 1, "s2": "two"},
        add={"n": 3, "ids": frozenset({"x"})},
        remove=("r1", "r2"),
        must=(exists("s1"), equals("n", 4), absent_or("m", "<", 5), absent("z")),
        copy={"c": "s2"},
        subtract={"d": (6, "n")},
    )
    spelled = spell(write)
    names, values = (
        spelled.pop("ExpressionAttributeNames"),
        spelled.pop("ExpressionAttributeValues"),
    )

    def read(text: str) -> str:
        for number in sorted(names, key=len, reverse=True):
            text = text.replace(number, names[number])
        for number in sorted(values, key=len, reverse=True):
            ((_, value),) = values[number].items()
            text = text.replace(number, str(value))
        return text

    assert {name: read(text) for name, text in spelled.items()} == {
        "ConditionExpression": "(((attribute_exists (s1) AND n = 4) AND"
        " (attribute_not_exists (m) OR m < 5)) AND attribute_not_exists (z))",
        "UpdateExpression": "SET s1 = 1, s2 = two, c = s2, d = 6 - n REMOVE r1, r2"
        " ADD n 3, ids ['x']",
    }
    assert len(set(names.values())) == len(names)


def test_a_write_of_nothing_spells_nothing() -> None:
    assert spell(Write("quotas", KEY)) == {}


def test_writes_of_one_form_share_it_with_their_own_names_and_values() -> None:
    """The keys' counters of each account have names of their own."""
    for name, units in (("u1", 5), ("u2", 7)):
        assert spell(Write("quotas", KEY, add={name: units})) == {
            "UpdateExpression": "ADD #0 :0",
            "ExpressionAttributeNames": {"#0": name},
            "ExpressionAttributeValues": {":0": {"N": str(units)}},
        }


@pytest.mark.parametrize(
    ("write", "is_check"),
    [
        (Write("quotas", KEY), True),
        (Write("quotas", KEY, must=(exists("a"),)), True),
        (Write("quotas", KEY, set={"a": 1}), False),
        (Write("quotas", KEY, add={"a": 1}), False),
        (Write("quotas", KEY, remove=("a",)), False),
        (Write("quotas", KEY, copy={"a": "b"}), False),
        (Write("quotas", KEY, subtract={"a": (1, "b")}), False),
        (Write("quotas", KEY, delete=True), False),
    ],
)
def test_a_write_that_only_demands_is_a_check(write: Write, *, is_check: bool) -> None:
    assert write.is_check is is_check


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("payments", ("owner", "id")),
        ("quotas", ("user_id", "item")),
        ("events", ("subject", "fact_id")),
        ("ledger", ("user_id", "entry_id")),
        ("keys", ("owner", "id")),
        ("notices", ("user_id", "notice")),
    ],
)
def test_a_new_row_is_refused_where_its_key_is_taken(table: Any, names: tuple[str, str]) -> None:
    """By the first part of the table's key."""
    made = creates(table, ("a", "b"), {"n": 1})
    assert made == Write(table, ("a", "b"), set={"n": 1}, must=(Must(names[0], "absent"),))
