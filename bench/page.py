"""Writes docs/performance.md and its picture from the figures of a run."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from bench.rows import Row
from bench.tables import Table, tables
from infra.local.paths import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "performance.svg"
INTRODUCTION: Final = """# How fast, and how that is known

Written by `make bench` and `make docs` from {source}.
Every figure with a goal is a **ratio measured side by side in one run**, or a **count**.
Neither depends on how busy the machine is.
Times and rates are shown to give you an idea; they have no goals.
What was changed to get here, with before and after, is in [decisions.md](decisions.md).
What one account, one table and one region carry is in [scale.md](scale.md).

![Ratios to the least that anybody's code could do](images/performance.svg)

"""
AREAS: Final = {
    "work": (
        "Work per operation",
        """\
Calls, capacity units and bytes of every route, counted on the wire under the product's handlers.
The container has served the account before, unless the row says otherwise.
A keyed debit answers with an exact `remaining`, which a transaction cannot return.
A container that has not seen the account, or saw it before another one debited, makes one more.
A write whose condition fails, like that of a duplicate delivery, counts as none here.
DynamoDB itself charges for it like for any other write.""",
    ),
    "cpu": (
        "CPU per event",
        """\
The built artifact's handlers with the wire cut under botocore.
Their blocks alternate with the least that any code must do: verify the signature, parse, and send
the same transaction with boto3's defaults, which check the parameters of every call.
The product's client leaves that check to DynamoDB; the second line is the same floor without it.
The peers are written as most people do, with Stripe's `construct_event` and boto3's `Table`.
Elsewhere 3.4 and 3.0 were measured for the two.""",
    ),
    "cold": (
        "Cold start",
        """\
CPU of importing each handler and making what its first request needs: the client of DynamoDB,
and Stripe's client class where it calls Stripe.
It runs from the built artifact, in interpreters that have nothing else.
It is compared with a DynamoDB client made by boto3 (and the two classes of stripe that the product
uses) from the same artifact.
Lambda does this while it starts a container, with a whole processor.
After a start from a snapshot (the parameter `SnapStart`) the first request makes its client: it has
credentials, which a snapshot must not contain.""",
    ),
    "distance": (
        "With distance",
        """\
10 ms are added to every call of DynamoDB and 200 ms to every call of Stripe,
so that round trips show.""",
    ),
    "growth": (
        "Growth",
        """\
The same operations after 10, 10 000 and 1 000 000 payments and ledger entries of one account, in
turns; then what reads whole books.
`topup ledger verify` is measured on a database, its CPU and the database's together.
Its memory is bounded by a file.""",
    ),
    "lease": (
        "Leases",
        """\
A million debits of one account by one process, from memory,
against the product's own handlers.""",
    ),
    "hot": (
        "One hot account",
        """\
Each container is a thread with its own memory and the product's deadline of eight seconds.
Eight purchases settle concurrently.
The local databases have no transaction conflicts, so they are emulated under the product's client:
a transaction holds its items for 10 ms, and a concurrent request for one of them is refused like
DynamoDB does.
This has not been measured on AWS.""",
    ),
    "load": (
        "Under load",
        """\
A local stack on the embedded AWS: gateway, functions, database and callers share two cores.
It has no transaction conflicts; those are counted above.""",
    ),
}
FONT: Final = 'font-family="system-ui, sans-serif" font-size="12"'
HEIGHT, LEFT, SCALE, TOP = 20, 520, 130, 30
"""Of the picture, in pixels: a row, the labels, a ratio of 1, the heading."""
LABEL_CHARS: Final = 86
CAP: Final = 4.0
"""The longest bar. The figure is written beside it."""


def write(figures: Mapping[str, Any]) -> None:
    """Write the page and the picture."""
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
    """Return the measured rows of an area."""
    return [
        Row(**{name: value for name, value in one.items() if name != "reached"})
        for one in area["rows"]
    ]


def picture(figures: Mapping[str, Any]) -> str:
    """Return the picture: a bar for each ratio, with a stroke at its goal.

    By hand: a plotting library would be the project's largest dependency.
    """
    rows = [row for area in figures["areas"].values() for row in rows_of(area) if row.unit == "x"]
    box = f"0 0 {LEFT + int(CAP * SCALE) + 80} {TOP + HEIGHT * len(rows) + 20}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" {FONT}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" fill="#555">ratio; the stroke is the goal</text>',
    ]
    for number, row in enumerate(rows):
        lines += _bar(row, TOP + number * HEIGHT)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(row: Row, y: int) -> Iterator[str]:
    wide = min(row.value, CAP) * SCALE
    colour = {True: "#2a7f62", False: "#c0392b", None: "#9aa5b1"}[row.reached]
    label = escape(f"{row.area}: {row.what}"[:LABEL_CHARS])
    yield f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{label}</text>'
    yield f'<rect x="{LEFT}" y="{y + 3}" width="{wide:.0f}" height="12" fill="{colour}"/>'
    yield f'<text x="{LEFT + wide + 6:.0f}" y="{y + 13}">{row.value:.3g}</text>'
    if row.goal is not None:
        x = LEFT + row.goal * SCALE
        yield f'<path d="M{x:.0f} {y} v18" stroke="#222" stroke-width="2"/>'


def _source(areas: Mapping[str, Any], runs: set[tuple[str, str]]) -> str:
    if len(runs) == 1:
        ((at, machine),) = runs
        return f"the figures of one run ({machine}, {at})"
    latest = f"the latest figures of each of {len(areas)} areas, which come from different runs"
    return f"{latest}: each says when, and on what"


def _markdown(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.headers)} |"
    yield "|" + "---|" * len(table.headers)
    for line in table.lines:
        yield f"| {' | '.join(line)} |"
