"""Loads a local stack: 32 connections with duplicates, debits of one hot account, and leases.

Only counts have goals here.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx
import stripe
from support.loglines import invocations
from support.stand import API, Stand, running

from bench.rows import Row
from infra.local.paths import ROOT

CONNECTIONS: Final = 32
WARMING: Final = (4, 8, 16, 24, 32, 32)
DUPLICATES: Final = 320
DEBITS: Final = 320
UNITS: Final = 1_000
ASKED_AT_MOST: Final = 4
TROUBLE: Final = ("busy", "outcome unknown", "internal error")
"""What a function logs when it answers 5xx."""
PROCESSES: Final = 4
PROCESS: Final = ROOT / "tests" / "client" / "process.py"
SERVER_ERROR: Final = 500
Send = Callable[[httpx.Client, int], httpx.Response]


@dataclass(frozen=True, slots=True)
class Told:
    """The answers to a burst: last statuses, statuses of repeated calls, and its seconds."""

    at_last: Counter[int]
    again: Counter[int]
    seconds: list[float]


def rows() -> Iterator[Row]:
    """Each burst, and what it left in the books."""
    with running() as stand:
        yield from _duplicates(stand)
        for kind in ("plain", "keyed"):
            yield from _debits(stand, kind)
        yield from _processes(stand)
        logged = Counter(
            line.get("message") for found in invocations(stand) for line in found.objects()
        )
    for what in TROUBLE:
        yield Row("load", f"functions logged: {what}", logged[what], "times")


def _duplicates(stand: Stand) -> Iterator[Row]:
    def burst(user_id: str, count: int, connections: int) -> Told:
        bought = stand.purchase(user_id)
        body = json.dumps(stand.events("checkout.session.completed", bought["session_id"])[0])
        header = {
            "stripe-signature": stripe.WebhookSignature.generate_signature_header(
                body, stand.facts["webhook_secret"]
            )
        }
        return _burst(
            count,
            lambda http, _: http.post(stand.facts["webhook_url"], content=body, headers=header),
            connections,
        )

    # each connection gets a process of its own here, and 32 would take a minute to start together
    for connections in WARMING:
        burst(f"warm-{connections}", connections, connections)
    name = f"a burst of duplicates over {CONNECTIONS} connections"
    yield from _shown(name, burst("dora", DUPLICATES, CONNECTIONS), DUPLICATES)
    yield Row(
        "load",
        f"{name}: units credited more than once",
        stand.quota("dora")["total"] - 100,
        "units",
        0,
    )


def _debits(stand: Stand, kind: str) -> Iterator[Row]:
    user_id = f"dirk-{kind}"
    stand.purchase(user_id)
    headers = {
        "authorization": f"Bearer {stand.token('backend', 'quota.write')}",
        "content-type": "application/json",
    }
    url = f"{stand.api_url}{API}/quota/debits"

    def debit(http: httpx.Client, number: int, user_id: str = user_id) -> httpx.Response:
        key = {"idempotency-key": f"{user_id}-{number}"} if kind == "keyed" else {}
        return http.post(
            url, content=json.dumps({"user_id": user_id, "units": 1}), headers={**headers, **key}
        )

    for connections in WARMING:
        _burst(connections, lambda http, number: debit(http, number, "nobody"), connections)
    told = _burst(DEBITS, debit, CONNECTIONS, has_key=kind == "keyed")
    name = f"{kind} debits of one account over {CONNECTIONS} connections"
    yield from _shown(name, told, DEBITS)
    left = stand.quota(user_id)
    off = abs(left["used"] - told.at_last[200]) + max(0, -left["remaining"])
    yield Row("load", f"{name}: units oversold, lost or doubled", off, "units", 0)


def _burst(count: int, send: Send, connections: int, *, has_key: bool = True) -> Told:
    """A 5xx is asked again, as its caller would; without a key only where nothing was done."""
    again: Counter[int] = Counter()

    def one(number: int) -> tuple[int, float]:
        began = time.perf_counter()
        for _ in range(ASKED_AT_MOST):
            answer = send(http, number)
            if answer.status_code < SERVER_ERROR or not (has_key or "busy" in answer.text):
                break
            again[answer.status_code] += 1
        return answer.status_code, time.perf_counter() - began

    limits = httpx.Limits(max_connections=connections)
    with (
        httpx.Client(timeout=60, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(connections) as pool,
    ):
        found = list(pool.map(one, range(count)))
    return Told(Counter(status for status, _ in found), again, [seconds for _, seconds in found])


def _shown(name: str, told: Told, count: int) -> Iterator[Row]:
    cuts = statistics.quantiles(told.seconds, n=100)
    stay = sum(number for status, number in told.at_last.items() if status >= SERVER_ERROR)
    yield Row("load", f"{name}: 5xx that stay", stay, f"of {count}", 0)
    yield Row("load", f"{name}: answered 5xx and asked again", told.again.total(), f"of {count}")
    for status, number in sorted(told.at_last.items()):
        yield Row("load", f"{name}: answered {status} at last", number, f"of {count}")
    for percent in (50, 95, 99):
        yield Row("load", f"{name}: {percent} of 100 within", cuts[percent - 1] * 1000, "ms")


def _processes(stand: Stand) -> Iterator[Row]:
    """A thousand units, four processes that spend until there are none: each unit is spent once."""
    stand.purchase("lea", "pro")
    token = stand.token("backend", "quota.write")
    body = {"user_id": "nobody", "units": 1, "expires_in_seconds": 60}
    for connections in (
        1,
        PROCESSES,
    ):  # as above: a client does not wait as long as a process takes to start here
        _burst(
            connections,
            lambda http, _: http.post(
                f"{stand.api_url}{API}/quota/holds",
                json=body,
                headers={"authorization": f"Bearer {token}"},
            ),
            connections,
        )
    command = [sys.executable, str(PROCESS), stand.api_url, token, "lea", "40", "all"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(PROCESSES)
    ]
    served = sum(_served(process) for process in started)
    left: dict[str, Any] = stand.quota("lea")
    yield Row(
        "load",
        f"leases in {PROCESSES} processes: units served",
        served,
        f"of {UNITS}",
        UNITS,
        "at least",
    )
    yield Row(
        "load",
        f"leases in {PROCESSES} processes: units oversold",
        max(0, served - UNITS) + abs(left["used"] - served),
        "units",
        0,
    )


def _served(process: subprocess.Popen[str]) -> int:
    said, _ = process.communicate(timeout=120)
    return sum(int(json.loads(line).get("served", 0)) for line in said.splitlines())
