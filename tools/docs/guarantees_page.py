"""Writes docs/guarantees.md from the figures that the last runs left in .local/figures.

No figure on that page is typed.
"""

import json
import sys
from typing import Any, Final

from soak.run import WHOLE

from infra.local.paths import ROOT

FIGURES: Final = ROOT / ".local" / "figures"
PAGE: Final = ROOT / "docs" / "guarantees.md"

INTRO: Final = """\
# What is guaranteed, and how it is shown

Made by `make docs` from the figures that `make test`, `make soak`, `make chaos` and `make mutants` left. Edit `tools/docs/guarantees_page.py`, not this page.

| law | where it is held |
|---|---|
| **Once.** A session's units are credited at most once, for ever | the ledger entry's key is the session; the payment's phase only rises |
| **Sooner or later.** What Stripe says is paid is credited | webhook, confirm, recovery, reconciliation: one `settlement.apply` |
| **All or nothing.** Status, quota, entry and mark change together | one `TransactWriteItems` |
| **The books balance.** `sum(ledger) - used not itemised = remaining + held - debt` | `topup ledger verify`; checked after every step below |
| **Never below zero** | the debit's own condition, `remaining >= units` |
| **Unknown is not failed** | the same request token again within the request's time, then 5xx |
| **Seen is written with the effect** | the mark is in the same transaction |
"""

NOT_COVERED: Final = """\
## What is not covered

- DynamoDB itself. That a transaction which was acknowledged is kept, and that conditions hold, is AWS's promise; the emulators stand in for it.
- AWS regions failing as a whole: the tables are in one region. A restore that kept half of what belonged together is found by
  `topup ledger verify` and mended with `--repair`; what was spent after the moment of the restore stays with the customer.
- An account at Stripe that has deleted its objects: what Stripe no longer lists cannot be compared.
- Interleavings are of calls to DynamoDB, which carries out each call as a whole; orders inside one call are DynamoDB's.
- Three handlers at once only for duplicates, checkouts under one key and the last units of an account, and without faults; pairs have every fault at every call,
  but for a late credit beside the drop of its refund, which has none.
"""


def _figures(name: str) -> Any:
    file = FIGURES / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def _table(rows: dict[str, Any]) -> str:
    return "| what | figure |\n|---|---|\n" + "\n".join(
        f"| {what} | {_shown(figure)} |" for what, figure in rows.items()
    )


def _shown(figure: object) -> str:
    if isinstance(figure, int) and not isinstance(figure, bool):
        return f"{figure:,}".replace(",", " ")
    if isinstance(figure, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in figure.items())
    return str(figure)


def _schedules() -> str:
    files = ("schedules", "spending_schedules", "hold_schedules", "checkout_schedules")
    found: dict[str, dict[str, int]] = {
        name: figures for file in files for name, figures in (_figures(file) or {}).items()
    }
    total: dict[str, int] = {}
    for figures in found.values():
        for what, count in figures.items():
            total[what] = total.get(what, 0) + count
    stories = "\n".join(
        f"| {name} | {figures['schedules']} | {figures['joined an earlier one']} |"
        for name, figures in found.items()
    )
    return (
        "## Every order of two handlers\n\nThe product's own code and retry loop on a twin of DynamoDB; before every call another handler may go "
        "first; at every call a crash before or after it, a throttle, a conflict, or a lost answer. An order that comes to a state which an "
        "earlier order came to (the tables, and all that each handler was told) is not followed twice.\n\n"
        f"{_table({'stories': len(found), **total})}\n\n| story | followed to the end | joined an earlier one |\n|---|---|---|\n{stories}"
    )


def _soak() -> str:
    """Of one whole run, or nothing."""
    told = (
        "## A million deliveries\n\n`make soak`: random histories of a shop on the twin. Any call of any handler may meet a crash before or after it, "
        "a throttle, a conflict or a lost answer, and another delivery may come between two calls. Events come twice, in any order, or not before the "
        "end. After every step the laws, at every debit and capture what it took, and at the end of each history an independent model.\n\n"
    )
    found = _figures("soak")
    if found is None:
        return f"{told}No figures: it was not run."
    wrong = found["histories with a unit lost or doubled"]
    if found["deliveries"] < WHOLE or wrong:
        sys.exit(
            f"not published: {found['deliveries']} of {WHOLE} deliveries were played, {wrong} histories were wrong"
        )
    return told + _table({**found, "seed": str(found["seed"])})


def _plain(name: str, heading: str, told: str) -> str:
    found = _figures(name)
    listed = found.pop("bugs", []) if isinstance(found, dict) else []
    names = "".join(f"\n- {bug['name']}: {bug['verdict']}" for bug in listed)
    return f"## {heading}\n\n{told}\n\n{_table(found) if isinstance(found, dict) else 'No figures: it was not run.'}\n{names}"


def main() -> None:
    """Write the page."""
    sections = [
        INTRO,
        _schedules(),
        _plain("machine", "A state machine", "Random histories of purchases, refunds, disputes, losses, crashes; the laws after every step, an "
               "independent model at the end of each."),
        _soak(),
        _plain("wire", "On the wire", "Faults under boto3, against MiniStack and against dynoxide on disk, with threads, and dynoxide killed mid-flight."),
        _plain("mutants", "Planted bugs", "One-line faults in the money path, one after another; the tests must catch each."),
        _plain("mutants_machine", "Faults by a machine", "Conditions and parts of transactions dropped, bounds shifted, arguments swapped, exceptions "
               "narrowed, ..., drawn by a seed over every money module and the client. A fault that nobody can notice is named with its reason in "
               "`tests/mutants/equivalent.toml`; `percent` is of the others. `left` counts those that no test noticed."),
        NOT_COVERED,
    ]  # fmt: skip
    PAGE.write_text("\n\n".join(section.strip() for section in sections) + "\n")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
