"""Writes docs/operations.md: tables from the template and the code, every command of ``topup`` with what it printed on a stand."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from billing.telemetry import METRICS
from repo.declared import alarms, make_targets, parameters, stand_variables, variables
from stand import Stand, running

from infra.local.places import ROOT

GUIDE: Final = ROOT / "docs" / "operations.md"
WIDTH: Final = "100"

INTRO: Final = """\
# Operating Topup

Made by `make docs`, from a run on a stand: what `topup` printed is what it prints. Edit `tests/operations_guide.py`, not this page.

## The first deployment, in fifteen minutes

What no test on one machine can show is on this list. Tick it off once per account and stage.

- [ ] `make deploy STAGE=prod` ends with the outputs `ApiUrl`, `WebhookUrl`, `WebhookFunctionUrl`.
- [ ] The Stripe key and the webhook's signing secret are in the two secrets that the stack made (README, "Deploying and connecting Stripe").
- [ ] With the Cognito pool: `SiteUrl` is the address where customers open the page (on a first deployment deploy once, then again with
      `SiteUrl=` the output `ApiUrl`): Cognito sends them back there and nowhere else.
- [ ] `AlarmTopicArn` names an SNS topic, and somebody has confirmed its subscription.
- [ ] The account's Lambda concurrency limit is at least 100 more than `WebhookConcurrency`, or the deployment is refused.
- [ ] `topup doctor --stack topup-prod` finds nothing wrong.
- [ ] A purchase with a real card, and its refund from Stripe's dashboard, show in `topup account YOU --stack topup-prod`.

Going back: deploy the former version's tag the same way. Old and new code may run at once: items only ever gain attributes, and every
write names the version of the payment that it read. Tables are kept when the stack is deleted.

## After a restore

DynamoDB restores one table at a time, each to the second that you name. Restore all five to the same one, put them in place, then:

1. `topup reconcile --since 30d --repair` (or as far back as the restore reaches) settles what Stripe has and the books have lost.
2. `topup ledger verify` names every account of which the tables tell different stories; `topup ledger verify --repair` mends them.

What customers spent after the moment of the restore is known to nobody, and stays with them; grants of that time must be given again.
"""

ADVICE: Final = {
    "ParkedOld": "A fact that Stripe sent has waited for more than an hour. `topup parked` says for what; `topup reconcile --since 7d --repair` "
    "brings payments whose own delivery was lost. No units are lost meanwhile: they come late.",
    "ParkedDeadLetter": "A fact was tried ten times in vain by RecoverFunction. `topup parked` lists its record if there is one; otherwise "
    "`topup replay EVENT_ID` settles it by its id, which the message in ParkedDeadLetterQueue names.",
    "OutcomeUnknown": "Requests were answered 5xx because DynamoDB gave no answer in time. Stripe delivers again by itself. If it goes on, "
    "look at DynamoDB's throttling for the tables and at AWS's status page.",
    "InternalErrors": "A fault of ours. The log group of the function that failed has the whole traceback under the request's id. Nothing is "
    "half done; Stripe delivers again. Please report it.",
    "RefusedSignatures": "More than five deliveries in five minutes were not signed with a secret we have. After rolling a secret: put the new "
    "one beside the old one. `topup doctor` tries every secret. Otherwise somebody is guessing, in vain.",
    "ReconcileDifferences": "Stripe and the books disagreed. What can be settled was settled in the same run; the log of ReconcileFunction and "
    "`topup reconcile --since 24h` show the rest. `missing_there` needs a person: units were credited for what Stripe does not show as paid.",
    "WebhookErrors": "WebhookFunction itself failed: out of time, out of memory, or a missing setting. Its log names it. Stripe delivers again.",
    "RecoverErrors": "RecoverFunction does not run to its end; parked facts wait. Its log names the reason.",
    "ReconcileErrors": "ReconcileFunction failed. Its next run goes on where this one stopped. A refused Stripe key is the usual reason: "
    "`topup doctor`.",
}


def _commands(stand: Stand) -> Iterator[tuple[str, Sequence[str]]]:
    """What to run, and a sentence about it."""
    bought = stand.purchase("alice")
    stand.call("POST", "/quota/debits", sub="backend", scope="quota.write", body={"user_id": "alice", "units": 7})
    stand.control("deliveries", drop=1)
    lost = stand.buy("bob")
    stand.pay(lost["session_id"])
    stand.control("deliveries", drop=0)
    yield "Finds what loses money in practice, and how to mend it.", ["doctor"]
    yield "One customer on one screen.", ["account", "alice"]
    yield "Payments, newest first.", ["payments", "--limit", "5"]
    yield "One purchase with its whole history, and what Stripe says now.", ["payment", bought["payment_id"], "--user", "alice"]
    yield (
        "Units by hand, with a reason; the same `--id` twice does nothing.",
        ["grant", "alice", "50", "--reason", "an apology", "--id", "1", "--yes"],
    )
    yield "Compares with Stripe; here bob has paid, and every webhook of it was lost.", ["reconcile", "--since", "1h"]
    yield "The same, and settles it.", ["reconcile", "--since", "1h", "--repair", "--yes"]
    mismatch = stand.events("checkout.session.completed", bought["session_id"])[0]
    mismatch["id"] = "evt_made_up_for_this_page"
    mismatch["data"]["object"]["id"] = "cs_test_made_up_for_this_page"
    stand.deliver(mismatch)
    yield "Facts that could not be applied. Here money came twice for one payment: a person decides.", ["parked"]
    yield "The same list, by its full name.", ["parked", "list"]
    yield "Tries one at once.", ["parked", "retry", "evt_made_up_for_this_page", "--yes"]
    yield (
        "Decides that it is not to be settled, after refunding it at Stripe.",
        ["parked", "drop", "evt_made_up_for_this_page", "--reason", "refunded", "--yes"],
    )
    event = stand.events("checkout.session.completed", bought["session_id"])[0]
    yield "Settles an event again, by its id. What is settled stays settled once.", ["replay", event["id"], "--yes"]
    yield "Proves the books: every account recomputed from its entries.", ["ledger", "verify"]
    _restored(stand, bought)
    yield (
        "After a restore. Here alice's purchase was put back to before it was paid; without `--repair` this would only be reported.",
        ["ledger", "verify", "--repair", "--yes"],
    )
    yield "Every entry, as CSV or JSON lines, in constant memory.", ["ledger", "export", "--format", "csv"]
    yield "Settlements, refusals, parked facts and errors, minute by minute.", ["watch", "--once"]


def _restored(stand: Stand, bought: Mapping[str, Any]) -> None:
    """As a restore of the payments table to an earlier moment leaves it."""
    stand.boto("dynamodb").update_item(
        TableName=stand.resources()["PaymentsTable"],
        Key={"owner": {"S": "user#alice"}, "id": {"S": bought["payment_id"]}},
        UpdateExpression="SET phase = :p, #s = :s REMOVE seen_at_stripe",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":p": {"N": "0"}, ":s": {"S": "pending"}},
    )


def _ran(stand: Stand, words: Sequence[str]) -> str:
    environment = {
        **os.environ,
        "TOPUP_STATE_DIR": str(stand.state),
        "COLUMNS": WIDTH,
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.ops", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    text = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines()).strip()
    return re.sub(r"(127\.0\.0\.1|localhost):\d+", "localhost:8080", text) + (f"\n[exit code {done.returncode}]" if done.returncode else "")


def _sections(stand: Stand) -> Iterator[str]:
    yield INTRO
    yield "## The commands\n\n" + _block(["--help"], _ran(stand, ["--help"]))
    shown: set[str] = set()
    for told, words in _commands(stand):
        name = " ".join(words[: 2 if words[0] in ("parked", "ledger") and len(words) > 1 else 1])
        asked = name.split()
        help_of = "" if name in shown else "\n\n" + _block([*asked, "--help"], _ran(stand, [*asked, "--help"]))
        heading = "" if name in shown else f"### topup {name}\n\n"
        shown.add(name)
        yield f"{heading}{told}\n\n{_block(words, _ran(stand, words))}{help_of}"
    yield "## Alarms\n\nSNS tells the topic of `AlarmTopicArn`.\n\n" + "\n\n".join(
        f"### {name}Alarm\n\n{row['AlarmDescription']}: `{row['MetricName']}` above {row['Threshold']}. {ADVICE[name]}"
        for name, row in alarms().items()
    )
    yield "## Metrics\n\nIn CloudWatch, namespace `Topup`, dimension `service` = the stack's name.\n\n" + _table(METRICS.items())
    yield "## Parameters\n\n" + _table(
        (name, f"{row['Description']} Default: `{row.get('Default', '')}`") for name, row in parameters().items()
    )
    yield "## Environment variables of the functions\n\nThe template sets them; nobody else needs to.\n\n" + _table(variables().items())
    yield (
        "## The stand\n\n"
        + _table(stand_variables().items())
        + "\n\n"
        + _table((f"make {name}", told) for name, told in make_targets().items())
    )


def _block(words: Sequence[str], text: str) -> str:
    return f"```console\n$ topup {' '.join(words)}\n{text}\n```"


def _table(rows: Any) -> str:
    return "| name | what it means |\n|---|---|\n" + "\n".join(f"| `{name}` | {_cell(told)} |" for name, told in rows)


def _cell(told: object) -> str:
    return str(told).replace("|", "/")


def main(guide: Path = GUIDE) -> None:
    """Start a stand, run everything, write the page."""
    with running() as stand:
        guide.write_text("\n\n".join(section.strip() for section in _sections(stand)) + "\n")
    sys.stdout.write(f"{guide.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
