"""The suite's share of ``python -m soak.told``: 0 events lost, 0 doubled, ids stable."""

from soak.told import play


def test_every_effect_is_told_once_and_every_event_arrives_whatever_is_lost() -> None:
    """Lost answers on both sides, duplicates, and a receiver that is down for three days."""
    result = play(2000)
    assert result.wrong == []
    assert result.faulted >= 2000
    assert result.lost_answers > 100
    assert result.repeated > 10
