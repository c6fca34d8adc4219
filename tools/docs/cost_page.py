"""Writes docs/cost.md: what the real handlers consume of a real DynamoDB API, times AWS's public prices.

The handlers run in this process as API Gateway would call them (tests/functional/lab.py), their tables in dynoxide, which counts capacity
as DynamoDB does; Stripe is the simulator. Durations cannot be measured here: those are assumptions, and the page says so.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from billing.wiring import container
from functional import lab as functional
from moto import mock_aws
from repo.declared import alarms, parameters, template
from simulator.lab import KEY, Receiver
from simulator.lab import Lab as Stripe
from simulator.lab import lab as simulated
from support.dynamo import dynoxide

from infra.local.paths import ROOT

PAGE: Final = ROOT / "docs" / "cost.md"
NOTED_ON: Final = "2026-11-24"
READS: Final = ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems")
MILLION: Final = 1_000_000
LEASE: Final = 1000
MONTH_HOURS: Final = 730


INTRO: Final = (
    "# What it costs\n\nMade by `make docs` (`tools/docs/cost_page.py`): what the handlers consumed of a DynamoDB API, times prices "
    f"for us-east-1 as noted on {NOTED_ON} from the pages named below, without any free tier. AWS's own list could not be read then: check it. Stripe's own fees, data transfer, storage, Cognito and WAF are not in it."
)


@dataclass(frozen=True, slots=True)
class Price:
    """Us-east-1, without the free tier: dollars per unit.

    ``page`` is AWS's own; ``seen`` is where the figure was read.
    """

    what: str
    dollars: float
    per: str
    page: str
    seen: str


PRICES: Final = {
    "write": Price(
        "DynamoDB on demand, write request units",
        0.625 / MILLION,
        "unit",
        "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        "https://airbyte.com/data-engineering-resources/dynamodb-pricing (July 2025)",
    ),
    "read": Price(
        "DynamoDB on demand, read request units",
        0.125 / MILLION,
        "unit",
        "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        "https://airbyte.com/data-engineering-resources/dynamodb-pricing (July 2025)",
    ),
    "api": Price(
        "API Gateway, HTTP API, the first 300 million a month",
        1.00 / MILLION,
        "request",
        "https://aws.amazon.com/api-gateway/pricing/",
        "https://awsforengineers.com/blog/aws-api-gateway-pricing-explained (May 2025)",
    ),
    "invoke": Price(
        "Lambda, requests",
        0.20 / MILLION,
        "request",
        "https://aws.amazon.com/lambda/pricing/",
        "https://appropri8-astro.pages.dev/tutorials/2025/12/02/deploying-simple-api-aws/page/7 (December 2025)",
    ),
    "gbs": Price(
        "Lambda, duration on arm64",
        0.0000133334,
        "GB-second",
        "https://aws.amazon.com/lambda/pricing/",
        "https://cloudchipr.com/blog/aws-lambda-pricing (2024)",
    ),
    "log": Price(
        "CloudWatch Logs, ingestion",
        0.50,
        "GB",
        "https://aws.amazon.com/cloudwatch/pricing/",
        "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/",
    ),
    "alarm": Price(
        "CloudWatch, a standard alarm",
        0.10,
        "month",
        "https://aws.amazon.com/cloudwatch/pricing/",
        "nowhere: from memory, to be checked first",
    ),
    "metric": Price(
        "CloudWatch, a custom metric",
        0.30,
        "month",
        "https://aws.amazon.com/cloudwatch/pricing/",
        "https://signoz.io/guides/cloudwatch-pricing (February 2026)",
    ),
    "dashboard": Price(
        "CloudWatch, a dashboard beyond the first three of an account",
        3.00,
        "month",
        "https://aws.amazon.com/cloudwatch/pricing/",
        "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/ (June 2026)",
    ),
    "secret": Price(
        "Secrets Manager, a secret",
        0.40,
        "month",
        "https://aws.amazon.com/secrets-manager/pricing/",
        "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
    ),
    "sqs": Price(
        "SQS, a standard queue's requests",
        0.40 / MILLION,
        "request",
        "https://aws.amazon.com/sqs/pricing/",
        "nowhere: from memory, to be checked first",
    ),
    "xray": Price(
        "X-Ray, a trace that is recorded",
        5.00 / MILLION,
        "trace",
        "https://aws.amazon.com/cloudwatch/pricing/",
        "nowhere: from memory, to be checked first",
    ),
    "kms": Price(
        "KMS, requests",
        0.03 / 10_000,
        "request",
        "https://aws.amazon.com/kms/pricing/",
        "https://cloudburn.io/blog/aws-kms-pricing (March 2026)",
    ),
    "key": Price(
        "KMS, a key of yours",
        1.00,
        "month",
        "https://aws.amazon.com/kms/pricing/",
        "AWS's own page",
    ),
}
POLLS_A_MINUTE: Final = 5 * 60 / 20
"""Lambda asks an idle queue by five connections that wait for 20 seconds each, an assumption from
many people's bills.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html says that it begins with five
batches at a time.
"""
COLD_OF_A_MILLION: Final = 10_000
"""AWS: under one in a hundred.
https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/"""
ASSUMED_INIT_MS: Final = 800
"""Billed since August 2025 (the same page). A guess; the log's Init Duration says what yours takes.
"""
TRACED: Final = 0.05
"""Of requests, besides one a second:
https://docs.aws.amazon.com/xray/latest/devguide/xray-console-sampling.html."""
ASSUMED_MS: Final = {
    "create_checkout": 600,
    "webhook": 80,
    "confirm_payment": 350,
    "debit_quota": 20,
    "hold_quota": 25,
    "recover": 60,
    "reconcile": 1000,
}
"""Billed milliseconds of a warm function, a guess for each: those that wait for Stripe's API are
long. No account was there to measure one."""
ASSUMED_LOG_BYTES: Final = 1200
"""One structured line of ours and Lambda's own three lines, a guess."""
PINNED: Final = "https://github.com/{}/blob/{}/{}"
ALTERNATIVES: Final = (
    ("Topup", "nothing: functions and tables, billed by use", "0", "template.yaml", ""),
    (
        "Lago",
        "PostgreSQL, Redis, API, front, worker, clock, PDF",
        "7",
        "docker-compose.yml",
        PINNED.format(
            "getlago/lago", "00cec0a36b88a78ee2273ee6a7831af31a680412", "docker-compose.yml"
        ),
    ),
    (
        "OpenMeter",
        "Kafka, ClickHouse, PostgreSQL; and OpenMeter itself, which is not in that file",
        "3, and itself",
        "docker-compose.yaml",
        PINNED.format(
            "openmeterio/openmeter",
            "0a575b2dad63339f85b23d17a8542c5b93f61f1e",
            "docker-compose.yaml",
        ),
    ),
    (
        "Flexprice",
        "PostgreSQL, Kafka, ClickHouse, Temporal; and Flexprice itself, which is not in that file",
        "4, and itself",
        "docker-compose.yml",
        PINNED.format(
            "flexprice/flexprice", "038517866ccdf5e6d8d08700b7b746eadbe34f65", "docker-compose.yml"
        ),
    ),
    (
        "Kill Bill",
        "Kill Bill, Kaui, MariaDB",
        "3",
        "docker/compose/docker-compose.kb.yml",
        PINNED.format(
            "killbill/killbill-cloud",
            "145d816ab82f6875b42547d2f60914b1cecde5d1",
            "docker/compose/docker-compose.kb.yml",
        ),
    ),
)


@dataclass(slots=True)
class Used:
    """What one or more calls consumed."""

    reads: float = 0
    writes: float = 0
    api: int = 0
    invocations: int = 0
    gb_seconds: float = 0

    def plus(self, other: "Used", times: float = 1) -> "Used":
        """Both; the other ``times`` over."""
        return Used(
            *(getattr(self, name) + times * getattr(other, name) for name in self.__slots__)
        )

    def dollars(self) -> dict[str, float]:
        """By service, for one."""
        return {
            "DynamoDB": self.reads * PRICES["read"].dollars + self.writes * PRICES["write"].dollars,
            "Lambda": self.invocations * PRICES["invoke"].dollars
            + self.gb_seconds * PRICES["gbs"].dollars,
            "API Gateway": self.api * PRICES["api"].dollars,
            "logs": self.invocations * ASSUMED_LOG_BYTES / 1e9 * PRICES["log"].dollars,
        }


class Counter:
    """Asks for the capacity with every call of the product's own store, and adds it up."""

    def __init__(self) -> None:
        """Wrapped around the connection that the handlers share."""
        self.used = Used()
        client = container.store()._client
        self._ask: Callable[..., dict[str, Any]] = client._make_api_call
        client._make_api_call = self._counted

    def _counted(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._ask(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
        rows = answer["ConsumedCapacity"]
        units = sum(row["CapacityUnits"] for row in (rows if isinstance(rows, list) else [rows]))
        if operation in READS:
            self.used.reads += units
        else:
            self.used.writes += units
        return answer

    def of(self, handler: str, act: Callable[[], Any], *, gateway: bool = True) -> tuple[Used, Any]:
        """One invocation of ``handler``, and its answer. Refused calls have no place in this page."""
        self.used = Used(
            api=int(gateway),
            invocations=1,
            gb_seconds=_memory_gb(handler) * ASSUMED_MS[handler] / 1000,
        )
        said = act()
        assert not isinstance(said, functional.Said) or said.status in (200, 201), said.raw
        return self.used, said


def _memory_gb(handler: str) -> float:
    whole = template()
    rows = (
        row["Properties"]
        for row in whole["Resources"].values()
        if row["Type"] == "AWS::Serverless::Function"
    )
    found = next(row for row in rows if row["Handler"] == f"{handler}.handler")
    return float(found.get("MemorySize", whole["Globals"]["Function"]["MemorySize"])) / 1024


@contextmanager
def _stack() -> Iterator[tuple[functional.Lab, Stripe, Counter]]:
    """The handlers over dynoxide for the tables, moto for the rest, the simulator for Stripe."""
    with (
        pytest.MonkeyPatch.context() as patch,
        dynoxide() as tables,
        simulated(Receiver(url="http://127.0.0.1:9/")) as stripe,
    ):
        stripe.control("deliveries", drop=1)
        for name, value in functional.CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", tables.url)
        patch.delenv("AWS_PROFILE", raising=False)
        functional.forget(clients=True)
        functional.client.cache_clear()
        with mock_aws():
            found = functional.Lab(stripe.url)
            found.make(KEY)
            for name, value in found.template.environment().items():
                patch.setenv(name, value)
            yield found, stripe, Counter()
        functional.forget(clients=True)
        functional.client.cache_clear()


def measured() -> dict[str, Used]:
    """Each route once, warm: the first purchase and debit of an account, which differ, are not counted."""
    with _stack() as (lab, stripe, counter):
        idle = {
            name: counter.of(name, lambda name=name: lab.ask(name, {}), gateway=False)[0]  # type: ignore[misc]
            for name in ("recover", "reconcile")
        }
        _purchase(lab, stripe, counter)
        _debit(lab, counter)
        bought = _purchase(lab, stripe, counter)
        held, said = counter.of(
            "hold_quota",
            lambda: _post(
                lab, "/quota/holds", {"user_id": "alice", "units": 50, "expires_in_seconds": 60}
            ),
        )
        path = f"/quota/holds/{said.json['hold_id']}/capture"
        captured, _ = counter.of("hold_quota", lambda: _post(lab, path, {"units": 50}))
        return {
            **idle,
            **bought,
            "debit": _debit(lab, counter),
            "keyed": _debit(lab, counter, "k-1"),
            "hold": held,
            "capture": captured,
        }


def _purchase(lab: functional.Lab, stripe: Stripe, counter: Counter) -> dict[str, Used]:
    asked, said = counter.of(
        "create_checkout",
        lambda: lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}),
    )
    stripe.control(f"sessions/{said.json['session_id']}/pay", method="card")
    event = stripe.event("checkout.session.completed")
    settled, _ = counter.of("webhook", lambda: lab.webhook(json.dumps(event)))
    confirm = f"/payments/{said.json['payment_id']}/confirm"
    confirmed, _ = counter.of("confirm_payment", lambda: lab.call("POST", confirm, sub="alice"))
    return {"checkout": asked, "webhook": settled, "confirm": confirmed}


def _debit(lab: functional.Lab, counter: Counter, key: str = "") -> Used:
    return counter.of(
        "debit_quota", lambda: _post(lab, "/quota/debits", {"user_id": "alice", "units": 1}, key)
    )[0]


def _post(lab: functional.Lab, path: str, body: dict[str, Any], key: str = "") -> functional.Said:
    if key:
        return lab.call(
            "POST", path, sub="backend", scope="quota.write", body=body, idempotency_key=key
        )
    return lab.call("POST", path, sub="backend", scope="quota.write", body=body)


def _page(used: dict[str, Used]) -> str:
    purchase = Used().plus(used["checkout"]).plus(used["webhook"]).plus(used["confirm"])
    lease = Used().plus(used["hold"], 1 / LEASE).plus(used["capture"], 1 / LEASE)
    millions = {
        "purchases (checkout, webhook, confirm)": purchase,
        "debits, plain": used["debit"],
        "debits, keyed": used["keyed"],
        f"debits, leased {LEASE:,} at a time (one hold, one capture)": lease,
    }
    return "\n\n".join(
        [
            INTRO,
            "## Per million\n\n" + _dollar_table(millions),
            seen_again(),
            beside(),
            _idle(used),
            "## Measured: capacity of one call\n\nBy `ReturnConsumedCapacity`, on dynoxide, of an account that has bought and spent before. "
            "Transactions count twice; a write to "
            "an index counts once more, which in a transaction may be twice at AWS: nobody has looked there.\n\n| call | read units | write units |\n|---|---|---|\n"
            + "\n".join(
                f"| {name} | {row.reads:g} | {row.writes:g} |" for name, row in used.items()
            ),
            "## Assumed: billed duration\n\n**Not measured**: there was no AWS account. A warm function each, as a guess to be replaced by your own "
            f"figures; every invocation logs {ASSUMED_LOG_BYTES} bytes, a guess too.\n\n| handler | ms | memory, MB |\n|---|---|---|\n"
            + "\n".join(
                f"| `{name}` | {ms} | {_memory_gb(name) * 1024:g} |"
                for name, ms in ASSUMED_MS.items()
            ),
            "## Prices\n\nThe table in `tools/docs/cost_page.py`; check it against the pages before you rely on it.\n\n| what (AWS's own page) | dollars | per | where the figure was read |\n|---|---|---|---|\n"
            + "\n".join(
                f"| [{row.what}]({row.page}) | {_dollars(row)} | {row.seen} |"
                for row in PRICES.values()
            ),
            "## Beside what the alternatives need running\n\nThey do more: subscriptions, invoices, usage analytics. For prepaid quota alone, this is what "
            "runs all month before the first sale, by their own compose files (one published version each, the linked one, not the newest; later ones may need more or less).\n\n"
            "| | services that always run | how many | by |\n|---|---|---|---|\n"
            + "\n".join(
                f"| {name} | {told} | {count} | {f'[{file}]({url})' if url else f'`{file}`'} |"
                for name, told, count, file, url in ALTERNATIVES
            ),
        ]
    )


def seen_again() -> str:
    """What a purchase goes on costing after it was made: each hourly look at its session reads its payment, one unit."""
    hours = int(parameters()["ReconcileHours"]["Default"])
    dollars = MILLION * PRICES["read"].dollars
    return (
        f"Beside that, each hourly reconciliation reads a purchase again for as long as it looks back (`ReconcileHours`, {hours} by default): "
        f"computed, one read unit each time, **${hours * dollars:,.2f}** for a million purchases, or ${48 * dollars:,.2f} with `ReconcileHours=48`. "
        "The time that Lambda and Stripe's lists take for it is not in these figures."
    )


def _dollars(row: Price) -> str:
    return (
        f"{row.dollars * MILLION:g} | million {row.per}s"
        if row.dollars * MILLION < 2
        else f"{row.dollars:.10g} | {row.per}"
    )


def _dollar_table(rows: dict[str, Used]) -> str:
    names = list(Used().dollars())
    lines = [
        f"| a million of | {' | '.join(names)} | together |",
        f"|---{'|---' * (len(names) + 1)}|",
    ]
    for what, used in rows.items():
        parts = [value * MILLION for value in used.dollars().values()]
        lines.append(
            f"| {what} | {' | '.join(f'${part:,.2f}' for part in parts)} | **${sum(parts):,.2f}** |"
        )
    return "\n".join(lines)


def beside() -> str:
    """What is billed by other rules than a call's own."""
    cold = COLD_OF_A_MILLION * ASSUMED_INIT_MS / 1000 * 0.25 * PRICES["gbs"].dollars
    traced = MILLION * TRACED * PRICES["xray"].dollars
    return (
        f"Starts are billed since August 2025: with one cold start in a hundred calls of {ASSUMED_INIT_MS} ms (both assumed) **${cold:,.2f}** for a "
        f"million calls. X-Ray records the first request of each second and one in twenty of the others: at least **${traced:,.2f}** for a million "
        f"calls, at most ${MILLION * PRICES['xray'].dollars:,.2f} where they come slower than one a second.\n\n"
        "The tables' encryption costs nothing with DynamoDB's own key, which they have unless `KmsKeyArn` names one. A key of yours is "
        f"${PRICES['key'].dollars:,.2f} a month and ${PRICES['kms'].dollars * 10_000:,.2f} for 10,000 requests, of which DynamoDB makes about one per "
        "table and caller in five minutes "
        "([how](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html)). AWS's key in the account, which version 1 "
        "used, has no monthly price and the same price for requests. Cognito's plan Essentials, which managed login needs, is charged for by the "
        "month's active users, beyond the free ones ([prices](https://aws.amazon.com/cognito/pricing/))."
    )


def _idle(used: dict[str, Used]) -> str:
    runs = Used().plus(used["recover"], MONTH_HOURS * 60).plus(used["reconcile"], MONTH_HOURS)
    rows = {f"schedules: {name}": dollars for name, dollars in runs.dollars().items() if dollars}
    rows[f"{len(alarms())} alarms"] = len(alarms()) * PRICES["alarm"].dollars
    rows["2 custom metrics that the schedules count"] = 2 * PRICES["metric"].dollars
    rows["2 secrets"] = 2 * PRICES["secret"].dollars
    rows["Lambda's looks into the empty queue (assumed)"] = (
        MONTH_HOURS * 60 * POLLS_A_MINUTE * PRICES["sqs"].dollars
    )
    rows["traces of the schedules, each sampled (assumed)"] = (
        MONTH_HOURS * 61 * PRICES["xray"].dollars
    )
    rows["together"] = sum(rows.values())
    lines = "\n".join(f"| {what} | ${dollars:,.2f} |" for what, dollars in rows.items())
    return (
        "## A month in which nobody buys\n\nRecovery each minute, reconciliation each hour over no payments; a custom metric is billed "
        f"(${PRICES['metric'].dollars:.2f} a month) only when something was counted. The dashboard is not in it: an account's first three of at "
        f"most 50 metrics are free, a further one is ${PRICES['dashboard'].dollars:.2f} (`Dashboard=false` leaves it out).\n\n"
        f"| what | dollars a month |\n|---|---|\n{lines}"
    )


def main() -> None:
    """Measure, and write the page."""
    PAGE.write_text(_page(measured()).strip() + "\n")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
