import pytest
from billing.wiring.secrets import Allowance


def _taken(allowance: Allowance, *, at: int, asked: int = 100) -> int:
    return sum(allowance.take(at) for _ in range(asked))


@pytest.mark.parametrize("began", [0, 12_345])
def test_only_a_bounded_number_of_re_reads_is_allowed_at_the_same_time(began: int) -> None:
    assert _taken(Allowance(20, 10), at=began) == 20


def test_a_flood_is_allowed_one_re_read_in_ten_seconds() -> None:
    """A roll in the midst of it is seen after ten seconds: asking in vain costs nothing."""
    allowance = Allowance(20, 10)
    _taken(allowance, at=0)
    assert [_taken(allowance, at=second) for second in range(1, 41)] == [
        int(second % 10 == 0) for second in range(1, 41)
    ]


def test_a_quiet_time_gives_them_back_and_no_more_than_there_were() -> None:
    allowance = Allowance(20, 10)
    _taken(allowance, at=0)
    assert _taken(allowance, at=30) == 3
    assert _taken(allowance, at=100_000) == 20
