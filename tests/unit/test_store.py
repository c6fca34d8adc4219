import copy
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from billing.errors import OutcomeUnknownError, RefusedError
from billing.patience import Patience
from billing.store import Store, StoreFaultError
from billing.writes import KEY_NAMES, Write
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

WRITE = Write("quotas", ("alice", "quota"), add={"remaining": -1})
DONE: dict[str, Any] = {"Attributes": {"remaining": {"N": "1"}}}
LOST = ReadTimeoutError(endpoint_url="dynamodb")
NOT_SENT = ConnectTimeoutError(endpoint_url="dynamodb")


class Line:
    """Stands where botocore's client stands: gives the next answer, and remembers what was asked."""

    def __init__(self, answers: Sequence[Any]) -> None:
        """The last answer is given for ever."""
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> Any:
        del operation
        self.asked.append(copy.deepcopy(request))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _store(*answers: Any) -> tuple[Store, Line]:
    store, line = Store(dict.fromkeys(KEY_NAMES, "T"), Patience(sleep=lambda _: None), "us-east-1"), Line(answers)
    store._connection = SimpleNamespace(client=line)  # type: ignore[assignment]
    return store, line


def _error(code: str, status: int = 400, reasons: Sequence[str] = ()) -> ClientError:
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError({**answer, "CancellationReasons": [{"Code": reason} for reason in reasons]}, "any")


def _cancelled(*reasons: str) -> ClientError:
    return _error("TransactionCanceledException", reasons=reasons)


@pytest.mark.parametrize("answer", [LOST, _error("InternalServerError", 500), _error("ServiceUnavailable", 503)], ids=repr)
def test_a_plain_debit_is_not_repeated_when_its_answer_is_lost(answer: Exception) -> None:
    """It may have been taken: nobody knows, and nobody takes it twice."""
    store, line = _store(answer, DONE)
    with pytest.raises(OutcomeUnknownError):
        store.update(WRITE)
    assert len(line.asked) == 1


@pytest.mark.parametrize("answer", [NOT_SENT, _error("ThrottlingException"), _error("TransactionConflictException")], ids=repr)
def test_a_plain_debit_that_was_not_carried_out_is_asked_for_again(answer: Exception) -> None:
    """These answers say so."""
    store, line = _store(answer, DONE)
    assert store.update(WRITE) == {"remaining": 1}
    assert len(line.asked) == 2


@pytest.mark.parametrize(
    "answer", [LOST, NOT_SENT, _cancelled("None", "TransactionConflict"), _error("InternalServerError", 500)], ids=repr
)
def test_a_transaction_is_repeated_under_one_token(answer: Exception) -> None:
    """DynamoDB carries the same token out once; another transaction has another."""
    store, line = _store(answer, answer, {})
    store.commit(WRITE, WRITE)
    assert len(line.asked) == 3
    assert len({request["ClientRequestToken"] for request in line.asked}) == 1
    store.commit(WRITE, WRITE)
    assert len({request["ClientRequestToken"] for request in line.asked}) == 2


@pytest.mark.parametrize("answer", [LOST, _cancelled("TransactionConflict", "None"), _error("TransactionInProgressException")], ids=repr)
def test_trouble_without_end_is_an_unknown_outcome(answer: Exception) -> None:
    """Neither a success nor a failure."""
    store, _ = _store(answer)
    with pytest.raises(OutcomeUnknownError):
        store.commit(WRITE, WRITE)


def test_a_failed_condition_beside_a_conflict_is_a_refusal() -> None:
    """Every reason counts; the old item is handed back."""
    store, line = _store(_cancelled("TransactionConflict", "ConditionalCheckFailed"), {})
    with pytest.raises(RefusedError) as refused:
        store.commit(WRITE, WRITE)
    assert refused.value.old == {1: None}
    assert len(line.asked) == 1


def test_a_request_that_dynamodb_refuses_as_such_is_a_fault_of_ours() -> None:
    """Asking again does not help."""
    store, line = _store(_error("ValidationException"), {})
    with pytest.raises(StoreFaultError):
        store.commit(WRITE)
    assert len(line.asked) == 1


def test_nothing_below_us_repeats_a_plain_debit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore would, after a 500: then one unit is taken twice."""
    asked: list[str] = []

    class Dynamo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Carry it out, and say 500."""
            asked.append(self.headers["x-amz-target"])
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with HTTPServer(("127.0.0.1", 0), Dynamo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        store = Store(dict.fromkeys(KEY_NAMES, "T"), Patience(), "us-east-1", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(OutcomeUnknownError):
            store.update(WRITE)
        server.shutdown()
    assert asked == ["DynamoDB_20120810.UpdateItem"]
