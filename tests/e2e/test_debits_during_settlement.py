import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest
from stand import API, Stand

THREADS: Final = 32
DEBITS_EACH: Final = 8
PURCHASES: Final = 4
UNITS_EACH: Final = 100
STEPS: Final = (2, 4, 8, 16, 24, 32)
"""How many processes of a function are started at once: each start keeps a core busy for most of a second."""


def _debits(stand: Stand, user_id: str, threads: int, each: int, pay: tuple[str, ...] = ()) -> list[httpx.Response]:
    """All threads begin together; beside them one buyer pays one session after another, and the debits go on meanwhile."""
    authorization = {"authorization": f"Bearer {stand.token('backend', 'quota.write')}"}
    ready = threading.Barrier(threads + 1)

    def spend(number: int) -> list[httpx.Response]:
        with httpx.Client(timeout=40, trust_env=False, headers=authorization) as client:
            ready.wait()
            body = {"user_id": user_id, "units": 1 + number % 3}
            return [client.post(f"{stand.api_url}{API}/quota/debits", json=body) for _ in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        spending = [pool.submit(spend, number) for number in range(threads)]
        ready.wait()
        for session in pay:
            stand.control(f"sessions/{session}/pay", method="card")
        return [answer for done in spending for answer in done.result()]


@pytest.fixture
def warm_stand(stand: Stand) -> Stand:
    """The functions' processes are there: on AWS a cold start takes no other's processor, here 32 at once would take all."""
    stand.purchase(f"first-{uuid.uuid4().hex[:8]}")
    for threads in STEPS:
        _debits(stand, "nobody-of-the-warm-up", threads, 2)
    return stand


def test_debits_and_purchases_of_one_account_meet_without_a_5xx_or_a_lost_unit(warm_stand: Stand) -> None:
    """32 threads debit while four purchases settle: every answer is 200 or 402, and the books balance at the end."""
    stand, buyer = warm_stand, f"busy-{uuid.uuid4().hex[:8]}"
    sessions = tuple(stand.buy(buyer)["session_id"] for _ in range(PURCHASES))
    answers = _debits(stand, buyer, THREADS, DEBITS_EACH, pay=sessions)
    stand.until(lambda: all(stand.payment(buyer, session)["status"] == "completed" for session in sessions), seconds=60)
    unexpected = [answer.text for answer in answers if answer.status_code not in (200, 402)]
    assert not unexpected, Counter(unexpected)
    taken = _taken(answers)
    quota = stand.quota(buyer)
    assert (quota["total"], quota["used"], quota["held"], quota["debt"]) == (PURCHASES * UNITS_EACH, taken, 0, 0)
    assert quota["remaining"] == PURCHASES * UNITS_EACH - taken
    assert _funded(stand, buyer) == sorted((session, UNITS_EACH) for session in sessions)


def _taken(answers: list[httpx.Response]) -> int:
    """The units of the accepted debits, each of which has an id of its own; a refused one says what it would take."""
    accepted: list[dict[str, Any]] = [answer.json() for answer in answers if answer.status_code == 200]
    assert accepted, "no debit met a settled purchase"
    assert len({answer["debit_id"] for answer in accepted}) == len(accepted)
    assert all(answer["remaining"] >= 0 for answer in accepted)
    refused = [answer.json() for answer in answers if answer.status_code == 402]
    assert {answer["code"] for answer in refused} <= {"quota_exhausted"}
    return sum(answer["units"] for answer in accepted)


def _funded(stand: Stand, buyer: str) -> list[tuple[str, int]]:
    """The ledger's credits: each session once."""
    entries = stand.call("GET", "/quota/ledger?limit=100", sub=buyer).json()["entries"]
    return sorted((entry["reference_id"], entry["units"]) for entry in entries if entry["type"] == "funded")
