from types import SimpleNamespace
from typing import Any

import pytest
from billing.wiring import secrets
from billing.wiring.secrets import Reader, TokenBucket


class Clock:
    """Seconds that tests set."""

    def __init__(self) -> None:
        """Now."""
        self.seconds = 1000.0

    def __call__(self) -> float:
        """As time.monotonic."""
        return self.seconds


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Secrets Manager was asked for. It answers with how often it was."""
    asked: list[str] = []

    def get_secret_value(SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        asked.append(SecretId)
        return (
            {"SecretString": f"{SecretId}-{len(asked)}"}
            if SecretId != "binary"
            else {"SecretBinary": b"?"}
        )

    monkeypatch.setattr(
        "botocore.session.get_session",
        lambda: SimpleNamespace(
            create_client=lambda *_, **__: SimpleNamespace(get_secret_value=get_secret_value)
        ),
    )
    return asked


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands still unless a test moves it."""
    clock = Clock()
    monkeypatch.setattr(secrets, "monotonic", clock)
    return clock


def test_a_secret_is_cached_until_it_is_stale(asked: list[str], clock: Clock) -> None:
    reader = Reader()
    assert (
        reader.get("a", max_age=300, force_fetch=False)
        == reader.get("a", max_age=300, force_fetch=False)
        == "a-1"
    )
    clock.seconds += 299
    assert reader.get("a", max_age=300, force_fetch=False) == "a-1"
    clock.seconds += 1
    assert reader.get("a", max_age=300, force_fetch=False) == "a-2"
    assert asked == ["a", "a"]


def test_a_secret_is_read_again_when_required_and_then_cached(
    asked: list[str], clock: Clock
) -> None:
    """After a roll; each secret for itself."""
    del clock
    reader = Reader()
    reader.get("a", max_age=300, force_fetch=False)
    assert reader.get("a", max_age=300, force_fetch=True) == "a-2"
    assert reader.get("a", max_age=300, force_fetch=False) == "a-2"
    assert reader.get("b", max_age=300, force_fetch=False) == "b-3"
    assert asked == ["a", "a", "b"]


def test_a_secret_without_text_is_none(asked: list[str], clock: Clock) -> None:
    """Who needs one then refuses to work."""
    del clock
    assert Reader().get("binary", max_age=300, force_fetch=False) == ""
    assert asked == ["binary"]


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
