import re
from datetime import UTC, datetime, timedelta

import pytest

from infra.cli.errors import OperatorError
from infra.cli.restore.restore_time import Window, moment, restored_name, suffix, written

NOW = datetime(2026, 11, 29, 12, 0, 0, 500_000, tzinfo=UTC)
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T11:00:00Z", "2026-11-29T11:00:00Z"),
        ("2026-11-29T12:00:00+01:00", "2026-11-29T11:00:00Z"),
        ("2026-11-29 11:00:00+00:00", "2026-11-29T11:00:00Z"),
        ("2h ago", "2026-11-29T10:00:00Z"),
        ("90m ago", "2026-11-29T10:30:00Z"),
        ("3d ago", "2026-11-26T12:00:00Z"),
    ],
)
def test_a_time_is_one_second_in_utc(text: str, expected: str) -> None:
    at = moment(text, NOW)
    assert at is not None
    assert written(at) == expected


def test_the_latest_second_is_asked_of_aws() -> None:
    assert moment("latest", NOW) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("2026-11-29T12:00:01Z", "in the future"),
        ("2026-11-29T11:00:00", "no time zone"),
        ("2026-11-29T11:00:00.5Z", "not a whole second"),
        ("yesterday", "not a time"),
        ("", "not a time"),
        ("2h", "not a time"),
        ("-2h ago", "not a time"),
        ("2026-13-01T00:00:00Z", "not a time"),
    ],
)
def test_what_is_no_second_of_the_past_is_refused(text: str, word: str) -> None:
    """With words that say what is wrong with it."""
    with pytest.raises(OperatorError, match=word) as refused:
        moment(text, NOW)
    assert refused.value.code == 2
    assert refused.value.repair


def test_a_suffix_is_what_the_template_takes() -> None:
    assert suffix(NOON) == "-at-20261129T120000Z"
    assert re.fullmatch(r"-at-[0-9]{8}T[0-9]{6}Z", suffix(NOON))


def test_a_name_that_dynamodb_would_not_take_is_refused() -> None:
    assert len(restored_name("x" * 235, NOON)) == 255
    with pytest.raises(OperatorError, match="255"):
        restored_name("x" * 236, NOON)


def _window(*pairs: tuple[int, int]) -> Window:
    rows = (
        (NOON + timedelta(minutes=first), NOON + timedelta(minutes=last)) for first, last in pairs
    )
    return Window.of(
        {"EarliestRestorableDateTime": first, "LatestRestorableDateTime": last}
        for first, last in rows
    )


def test_every_table_must_have_the_second() -> None:
    """The youngest table's beginning and the slowest one's end count."""
    window = _window((-60, -5), (-30, -9))
    window.check(NOON - timedelta(minutes=30))
    window.check(NOON - timedelta(minutes=9))
    for minutes in (31, 8):
        with pytest.raises(OperatorError, match="not all tables") as refused:
            window.check(NOON - timedelta(minutes=minutes))
        assert "2026-11-29T11:30:00Z to 2026-11-29T11:51:00Z" in refused.value.repair


def test_a_window_holds_whole_seconds_alone() -> None:
    """DynamoDB restores to a second: half a second before the first is not there."""
    half = timedelta(milliseconds=500)
    window = Window.of(
        [
            {
                "EarliestRestorableDateTime": NOON + half,
                "LatestRestorableDateTime": NOON + timedelta(seconds=9) + half,
            }
        ]
    )
    assert (window.earliest, window.latest) == (
        NOON + timedelta(seconds=1),
        NOON + timedelta(seconds=9),
    )
