import re

from tools.docs.cost_page import ASSUMED_MS, PAGE, PRICES, Used

TEXT = PAGE.read_text()


def test_what_was_assumed_is_called_so() -> None:
    """A guess beside a measurement must not look like one."""
    assumed = TEXT.split("\n## Assumed: billed duration\n", 1)[1].split("\n## ", 1)[0]
    assert "**Not measured**" in assumed
    assert all(
        f"| `{name}` | {milliseconds} |" in assumed for name, milliseconds in ASSUMED_MS.items()
    )


def test_every_price_says_where_it_was_read() -> None:
    """And links to AWS's own page, to be checked there."""
    assert all(row.seen in TEXT and f"({row.page})" in TEXT for row in PRICES.values())


def test_the_totals_on_the_page_are_the_sums_of_their_parts() -> None:
    """To the cent, as they are rounded."""
    rows = re.findall(
        r"^\| [^|]+((?: \| \$[\d,.]+)+) \| \*\*\$([\d,.]+)\*\* \|$", TEXT, re.MULTILINE
    )
    assert len(rows) == 4
    for parts, total in rows:
        amounts = [float(amount.replace(",", "")) for amount in re.findall(r"\$([\d,.]+)", parts)]
        assert abs(sum(amounts) - float(total.replace(",", ""))) <= 0.005 * (len(amounts) + 1)


def test_capacity_requests_and_durations_are_priced_each_by_its_own_price() -> None:
    """A million write units alone cost what the price list says."""
    million = Used(writes=1_000_000).dollars()
    assert {name: round(dollars, 9) for name, dollars in million.items() if dollars} == {
        "DynamoDB": 0.625
    }
    assert round(Used(api=1_000_000).dollars()["API Gateway"], 9) == 1.0
