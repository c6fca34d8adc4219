import pytest
from billing.wiring.secrets import TokenBucket


def _taken(bucket: TokenBucket, *, at: int, asked: int = 100) -> int:
    return sum(bucket.take(at) for _ in range(asked))


@pytest.mark.parametrize("began", [0, 12_345])
def test_a_full_bucket_gives_its_capacity_and_no_more(began: int) -> None:
    """However many ask, and whenever the container started."""
    assert _taken(TokenBucket(20, 10), at=began) == 20


def test_a_flood_gets_one_token_in_ten_seconds() -> None:
    """A roll during the flood is seen after ten seconds: a refused take costs nothing."""
    bucket = TokenBucket(20, 10)
    _taken(bucket, at=0)
    assert [_taken(bucket, at=second) for second in range(1, 41)] == [
        int(second % 10 == 0) for second in range(1, 41)
    ]


def test_a_quiet_time_refills_the_bucket_up_to_its_capacity() -> None:
    """One token at a time."""
    bucket = TokenBucket(20, 10)
    _taken(bucket, at=0)
    assert _taken(bucket, at=30) == 3
    assert _taken(bucket, at=100_000) == 20
