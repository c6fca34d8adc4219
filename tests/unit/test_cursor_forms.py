"""What a cursor looks like, and which texts are none."""

from typing import Any

import pytest
from billing import cursors
from billing.errors import BillingError

FORMS = [
    ({"id": "x"}, "eyJpZCI6IngifQ"),
    ({"id": "xy"}, "eyJpZCI6Inh5In0"),
    ({"id": "xyz"}, "eyJpZCI6Inh5eiJ9"),
    ({"id": "??>>~~"}, "eyJpZCI6Ij8_Pj5-fiJ9"),
]
"""Base64 for URLs without padding, of compact JSON: https://www.rfc-editor.org/rfc/rfc4648#section-5"""


@pytest.mark.parametrize(("place", "cursor"), FORMS)
def test_a_place_is_sealed_and_opened_again(place: dict[str, Any], cursor: str) -> None:
    """Whatever its length; no character needs to be escaped in an address."""
    assert cursors.sealed(place) == cursor
    assert cursors.opened(cursor, {"id": cursors.is_key}) == place


def test_only_the_members_that_are_asked_for_are_opened() -> None:
    cursor = cursors.sealed({"id": "x", "owner": "mallory"})
    assert cursors.opened(cursor, {"id": cursors.is_key}) == {"id": "x"}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@pytest.mark.parametrize(
    "cursor",
    [
        "eyJp!ZCI6IngifQ",
        "eyJpZCI6IngifQ ",
        "eyJpZCI6IngifQ+",
        "ü",
        "e",
        "eyJpZCI6Ingi",
        "_w",
        cursors.sealed({}),
        cursors.sealed({"name": "x"}),
        cursors.sealed({"id": 5}),
        cursors.sealed({"id": None}),
        cursors.sealed({"id": ""}),
        cursors.sealed({"id": "x" * 1025}),
        cursors.sealed({"id": "\ud800"}),
        "W10",
        "NQ",
        "bnVsbA",
        "Ilt4XSI",
        "W1tb" * 70_000,
    ],
    ids=lambda cursor: cursor[:20],
)
def test_a_text_that_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    """Not base64, not JSON, no object, nested without end, or without the right members."""
    with pytest.raises(BillingError) as refused:
        cursors.opened(cursor, {"id": cursors.is_key})
    assert (refused.value.code, refused.value.status) == ("invalid_request", 400)
    assert refused.value.detail == "cursor must be a next_cursor of an earlier answer"


@pytest.mark.parametrize("wrong", ["one", "two", "three"])
def test_every_member_of_a_cursor_is_checked(wrong: str) -> None:
    """Not only the first or the last."""
    place: dict[str, Any] = {"one": "1", "two": "2", "three": "3"}
    members = dict.fromkeys(place, _is_text)
    assert cursors.opened(cursors.sealed(place), members) == place
    with pytest.raises(BillingError):
        cursors.opened(cursors.sealed({**place, wrong: 5}), members)


def test_lists_have_twenty_rows_a_page_and_at_most_a_hundred() -> None:
    """As the OpenAPI document says."""
    assert (cursors.LIMIT_DEFAULT, cursors.LIMIT_MAX, cursors.CURSOR_CHARS_MAX) == (20, 100, 4096)
