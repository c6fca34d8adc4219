"""docs/performance.md and its picture, from the figures of a run."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from bench.rows import Row
from bench.tables import Table, tables
from infra.local.paths import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "performance.svg"
INTRODUCTION: Final = """# How fast, and how that is known

Written by `make bench` and `make docs` from {source}. Every figure with a goal is a **ratio measured side
by side in one run**, or a **count**: neither depends on how busy the machine is. Times and rates are shown so that you have an idea; they
judge nothing. What was changed to get here, with its before and after, is in [decisions.md](decisions.md); what one account, one table and
one region carry is in [scale.md](scale.md).

![Ratios to the least that anybody's code could do](images/performance.svg)

"""
AREAS: Final = {
    "work": (
        "Work per operation",
        """Calls, capacity units and bytes of every route, counted on the wire under the product's own handlers, in a container that has
served the account before unless it is said otherwise. A keyed debit answers with an exact `remaining`, which a transaction cannot
return: a container that has not seen the account, or saw it before another one debited, makes one call more. A write that is refused,
as by a duplicate delivery, is counted as none here; DynamoDB itself charges for it as if it had been done.""",
    ),
    "cpu": (
        "CPU per event",
        """The built artifact's handlers with the wire cut under botocore, in blocks that alternate with the least that anybody's code must
do: verify the signature, parse, and send the same transaction with boto3 as it comes, which checks the parameters of every call. The
product's client leaves that check to DynamoDB (what it sends is spelled in one place); the second line is the same floor without it. The
peers are written as most people have them, with Stripe's `construct_event` and boto3's `Table`; elsewhere 3.4 and 3.0 were measured
for the two.""",
    ),
    "cold": (
        "Cold start",
        """CPU of importing each handler and making what its first request touches: the client of DynamoDB, and Stripe's client class where
it calls Stripe. From the built artifact, in interpreters that have nothing else, to a DynamoDB client made by boto3 (and the two classes of
stripe that the product uses) from the same artifact. Lambda does this while it starts a container, with a whole processor; from a snapshot
(the parameter `SnapStart`) the first request makes its client, which holds credentials and so must not be kept in one.""",
    ),
    "distance": (
        "With distance",
        "10 ms are added to every call of DynamoDB and 200 ms to every call of Stripe, so that round trips show.",
    ),
    "growth": (
        "Growth",
        """The same operations after 10, 10 000 and 1 000 000 payments and ledger entries of one account, taken in turns; then what reads
whole books. `topup ledger verify` is measured on a database, its CPU and the database's together; its memory is bounded by a file.""",
    ),
    "lease": (
        "Leases",
        "A million debits of one account by one process, from memory, against the product's own handlers.",
    ),
    "hot": (
        "One hot account",
        """Each container is a thread with its own memory and the product's own eight seconds for a request, and eight purchases settle
meanwhile. The local databases know no conflicts between transactions. So they are emulated under the product's client: a transaction has
its items for 10 ms, and what meets one there is turned away as DynamoDB does it. Nobody has measured this on AWS.""",
    ),
    "load": (
        "Under load",
        """A stand with the stack deployed on the embedded AWS: gateway, functions, database and callers on the same two cores. Conflicts
between transactions do not happen there; they are counted above.""",
    ),
}
FONT: Final = 'font-family="system-ui, sans-serif" font-size="12"'
CAP: Final = 4.0
"""No bar is longer; its figure stands beside it."""


def write(figures: Mapping[str, Any]) -> None:
    """The page and the picture."""
    areas: Mapping[str, Any] = figures["areas"]
    runs = {(area["at"], area["machine"]) for area in areas.values()}
    parts = [INTRODUCTION.format(source=_source(areas, runs))]
    for name, (title, method) in AREAS.items():
        area = areas.get(name, {"rows": []})
        measured = (
            f"\n\nMeasured on {area['at']}, {area['machine']}."
            if len(runs) > 1 and area["rows"]
            else ""
        )
        body = "\n\n".join("\n".join(_markdown(table)) for table in tables(name, rows_of(area)))
        parts.append(f"## {title}\n\n{method}{measured}\n\n{body}\n\n")
    PAGE.write_text("".join(parts).rstrip() + "\n")
    PICTURE.write_text(picture(figures))


def rows_of(area: Mapping[str, Any]) -> list[Row]:
    """As they were measured."""
    return [
        Row(**{name: value for name, value in one.items() if name != "reached"})
        for one in area["rows"]
    ]


def picture(figures: Mapping[str, Any]) -> str:
    """Bars of all ratios, each with a stroke at its goal.

    By hand: a plotting library would be the project's largest dependency.
    """
    rows = [row for area in figures["areas"].values() for row in rows_of(area) if row.unit == "x"]
    height, left, scale, top = 20, 520, 130, 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + int(CAP * scale) + 80} {top + height * len(rows) + 20}" {FONT}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{left}" y="18" fill="#555">ratio; the stroke is the goal</text>',
    ]
    for number, row in enumerate(rows):
        y = top + number * height
        wide = min(row.value, CAP) * scale
        colour = {True: "#2a7f62", False: "#c0392b", None: "#9aa5b1"}[row.reached]
        lines.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(f"{row.area}: {row.what}"[:86])}</text>'
        )
        lines.append(
            f'<rect x="{left}" y="{y + 3}" width="{wide:.0f}" height="12" fill="{colour}"/>'
        )
        lines.append(f'<text x="{left + wide + 6:.0f}" y="{y + 13}">{row.value:.3g}</text>')
        if row.goal is not None:
            lines.append(
                f'<path d="M{left + row.goal * scale:.0f} {y} v18" stroke="#222" stroke-width="2"/>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _source(areas: Mapping[str, Any], runs: set[tuple[str, str]]) -> str:
    if len(runs) == 1:
        ((at, machine),) = runs
        return f"the figures of one run ({machine}, {at})"
    return f"the latest figures of each of {len(areas)} areas, which come from different runs: each says when, and on what"


def _markdown(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.headers)} |"
    yield "|" + "---|" * len(table.headers)
    for line in table.lines:
        yield f"| {' | '.join(line)} |"
