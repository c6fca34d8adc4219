import json
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest
from support.repeating import is_without_result
from support.stand import API, Stand

THREADS: Final = 16
"""As many processes of a function run: what more of them meet on two cores is the queue for a core.
"""
DEBITS_EACH: Final = 16
TRIES_MAX: Final = 30
PURCHASES: Final = 4
UNITS_EACH: Final = 100
STEPS: Final = (2, 4, 8, 16)
"""How many processes of a function are started at once: each start keeps a core busy for most of a
second."""


def _debit(
    client: httpx.Client, stand: Stand, body: dict[str, object], *, is_keyed: bool
) -> httpx.Response:
    """A keyed one is asked again where its outcome is unknown, as the answer says; a plain one
    never.
    """
    headers = {"idempotency-key": uuid.uuid4().hex} if is_keyed else {}
    for _ in range(TRIES_MAX if is_keyed else 1):
        answer = client.post(f"{stand.api_url}{API}/quota/debits", json=body, headers=headers)
        if not is_without_result(answer):
            break
    return answer


def _debits(
    stand: Stand, user_id: str, threads: int, each: int, pay: tuple[str, ...] = ()
) -> list[httpx.Response]:
    """All threads begin together; beside them one buyer pays one session after another, and the
    debits go on meanwhile.
    """
    authorization = {"authorization": f"Bearer {stand.token('backend', 'quota.write')}"}
    ready = threading.Barrier(threads + 1)

    def spend(number: int) -> list[httpx.Response]:
        with httpx.Client(timeout=40, trust_env=False, headers=authorization) as client:
            ready.wait()
            return [
                _debit(
                    client,
                    stand,
                    {"user_id": user_id, "units": 1 + number % 3},
                    is_keyed=bool(number % 2),
                )
                for _ in range(each)
            ]

    with ThreadPoolExecutor(threads) as pool:
        spending = [pool.submit(spend, number) for number in range(threads)]
        ready.wait()
        for session in pay:
            stand.control(f"sessions/{session}/pay", method="card")
        return [answer for done in spending for answer in done.result()]


@pytest.fixture
def warm_stand(stand: Stand) -> Stand:
    """The functions' processes are there: on AWS a cold start takes no other's processor, here 32
    at once would take all.
    """
    stand.purchase(f"first-{uuid.uuid4().hex[:8]}")
    for threads in STEPS:
        _debits(stand, "nobody-of-the-warm-up", threads, 2)
    return stand


def test_debits_and_purchases_of_one_account_meet_without_a_5xx_or_a_lost_unit(
    warm_stand: Stand,
) -> None:
    """Debits go on from all threads while four purchases settle: no conflict is ever answered, and
    the books balance at the end.
    """
    stand, buyer = warm_stand, f"busy-{uuid.uuid4().hex[:8]}"
    sessions = tuple(stand.buy(buyer)["session_id"] for _ in range(PURCHASES))
    answers = _debits(stand, buyer, THREADS, DEBITS_EACH, pay=sessions)
    stand.until(
        lambda: all(stand.payment(buyer, session)["status"] == "completed" for session in sessions),
    )
    unknown = [answer for answer in answers if is_without_result(answer)]
    unexpected = [
        answer.text
        for answer in answers
        if answer.status_code not in (200, 402) and answer not in unknown
    ]
    assert not unexpected, Counter(unexpected)
    assert not [answer for answer in unknown if "idempotency-key" in answer.request.headers], (
        "a keyed debit stays unknown"
    )
    quota = stand.quota(buyer)
    assert (
        0
        <= quota["used"] - _taken(answers)
        <= sum(json.loads(answer.request.content)["units"] for answer in unknown)
    )
    assert (quota["total"], quota["held"], quota["debt"]) == (PURCHASES * UNITS_EACH, 0, 0)
    assert quota["remaining"] == quota["total"] - quota["used"]
    assert _funded(stand, buyer) == sorted((session, UNITS_EACH) for session in sessions)


def _taken(answers: list[httpx.Response]) -> int:
    """The units of the accepted debits, each of which has an id of its own; a refused one says what
    it would take.
    """
    accepted: list[dict[str, Any]] = [
        answer.json() for answer in answers if answer.status_code == 200
    ]
    assert accepted, "no debit met a settled purchase"
    assert len({answer["debit_id"] for answer in accepted}) == len(accepted)
    assert all(answer["remaining"] >= 0 for answer in accepted)
    refused = [answer.json() for answer in answers if answer.status_code == 402]
    assert {answer["code"] for answer in refused} <= {"quota_exhausted"}
    return sum(answer["units"] for answer in accepted)


def _funded(stand: Stand, buyer: str) -> list[tuple[str, int]]:
    """The ledger's credits: each session once."""
    entries = stand.call("GET", "/quota/ledger?limit=100", sub=buyer).json()["entries"]
    return sorted(
        (entry["reference_id"], entry["units"]) for entry in entries if entry["type"] == "funded"
    )
