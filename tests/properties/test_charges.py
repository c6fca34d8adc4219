"""The suite's share of the histories of automatic charges that ``make soak`` plays."""

from collections import Counter

from soak.charges import ACTS, SHARE, histories


def test_no_history_charges_twice_or_above_the_limit_or_without_a_row() -> None:
    """Nor credits without a charge; and every kind of act and of fault was among them."""
    seen: Counter[str] = Counter()
    for found in histories(0, SHARE):
        seen += found
    kinds = {name for name, _ in ACTS} | {"a read", "before a write", "after a write"}
    assert not [kind for kind in kinds if not seen[kind]]
