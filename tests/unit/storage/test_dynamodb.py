import copy
from collections.abc import Callable, Sequence
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from billing.deadline import Deadline
from billing.errors import AwsRefusedError, ConditionFailedError, NotDoneError, OutcomeUnknownError
from billing.storage.dynamodb import Store
from billing.storage.writes import KEY_NAMES, Must, Write
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import DynamoDBClient

WRITE = Write("quotas", ("alice", "quota"), add={"remaining": -1})
DONE: dict[str, Any] = {"Attributes": {"remaining": {"N": "1"}}}
LOST = ReadTimeoutError(endpoint_url="dynamodb")
NOT_SENT = ConnectTimeoutError(endpoint_url="dynamodb")


class Line(DynamoDBClient):
    """Stands where botocore's client stands: gives the next answer, and
    remembers what was asked.
    """

    def __init__(self, answers: Sequence[Any]) -> None:
        """The last answer is given for ever."""
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def ask(self, operation: str, request: dict[str, Any]) -> Any:
        """Answer as botocore would."""
        del operation
        self.asked.append(copy.deepcopy(request))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Lagging(DynamoDBClient):
    """Stands there too: answers from a replica that lags, unless it is asked for what is written.

    An index over all owners cannot be.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
    """

    def ask(self, operation: str, request: dict[str, Any]) -> Any:
        """Answer as botocore would."""
        consistent = request.get("ConsistentRead", False)
        if consistent and request.get("IndexName") in ("open_holds", "unseen"):
            raise _error("ValidationException")
        item = {"remaining": {"N": "2" if consistent else "1"}}
        return {"Item": item} if operation == "GetItem" else {"Items": [item]}


def _store(*answers: Any) -> tuple[Store, Line]:
    store, line = (
        Store(dict.fromkeys(KEY_NAMES, "T"), PausedDeadline(), "us-east-1"),
        Line(answers),
    )
    store._client = line
    return store, line


def _error(code: str, status: int = 400, reasons: Sequence[str] = ()) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(
        {**answer, "CancellationReasons": [{"Code": reason} for reason in reasons]}, "any"
    )


def _cancelled(*reasons: str) -> ClientError:
    return _error("TransactionCanceledException", reasons=reasons)


@pytest.mark.parametrize(
    "answer",
    [LOST, _error("InternalServerError", 500), _error("ServiceUnavailable", 503)],
    ids=repr,
)
def test_a_plain_debit_is_not_repeated_when_its_answer_is_lost(answer: Exception) -> None:
    """It may have been taken. The outcome is unknown, and it is never taken twice."""
    store, line = _store(answer, DONE)
    with pytest.raises(OutcomeUnknownError):
        store.update(WRITE)
    assert len(line.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [NOT_SENT, _error("ThrottlingException"), _error("TransactionConflictException")],
    ids=repr,
)
def test_a_plain_debit_that_was_not_carried_out_is_asked_for_again(answer: Exception) -> None:
    store, line = _store(answer, DONE)
    assert store.update(WRITE) == {"remaining": 1}
    assert len(line.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [LOST, NOT_SENT, _cancelled("None", "TransactionConflict"), _error("InternalServerError", 500)],
    ids=repr,
)
def test_a_transaction_is_repeated_under_one_token(answer: Exception) -> None:
    """DynamoDB carries the same token out once; another transaction has another."""
    store, line = _store(answer, answer, {})
    store.commit(WRITE, WRITE)
    assert len(line.asked) == 3
    assert len({request["ClientRequestToken"] for request in line.asked}) == 1
    store.commit(WRITE, WRITE)
    assert len({request["ClientRequestToken"] for request in line.asked}) == 2


@pytest.mark.parametrize(
    "answers",
    [
        (LOST,),
        (_error("TransactionInProgressException"),),
        (_error("InternalServerError", 500), _cancelled("TransactionConflict", "None")),
        (_cancelled("TransactionConflict", "None"), LOST, NOT_SENT),
    ],
    ids=repr,
)
def test_trouble_without_end_is_an_unknown_outcome(answers: Sequence[Exception]) -> None:
    """Neither a success nor a failure: one answer that was lost is enough, whatever the others
    said.
    """
    store, _ = _store(*answers)
    with pytest.raises(OutcomeUnknownError) as unknown:
        store.commit(WRITE, WRITE)
    assert not isinstance(unknown.value, NotDoneError)


def test_what_was_written_is_read_though_replicas_lag() -> None:
    """A decision on what stood there a moment ago would be wrong.

    What an index shows over all owners is old at times: a hint alone.
    """
    store, _ = _store(DONE)
    store._client = Lagging()
    read = [
        store.get("quotas", ("alice", "quota")),
        *store.query("quotas", "alice").items,
        *store.scan("quotas").items,
    ]
    assert [*read, *store.query("ledger", "alice", index="by_time").items] == [{"remaining": 2}] * 4
    assert [*store.due(1).items, *store.unseen("").items] == [{"remaining": 1}] * 2


NOTHING_DONE = [
    NOT_SENT,
    _error("ThrottlingException"),
    _error("ProvisionedThroughputExceededException"),
]


@pytest.mark.parametrize(
    "answer",
    [
        *NOTHING_DONE,
        _cancelled("TransactionConflict", "None"),
        _cancelled("None", "ThrottlingError"),
    ],
    ids=repr,
)
def test_a_transaction_of_which_nothing_was_done_in_time_is_busy(answer: Exception) -> None:
    """Every answer said so: a caller without a key may ask again."""
    store, _ = _store(answer)
    with pytest.raises(NotDoneError):
        store.commit(WRITE, WRITE)


@pytest.mark.parametrize(
    "answer", [*NOTHING_DONE, _error("TransactionConflictException")], ids=repr
)
def test_a_plain_debit_of_which_nothing_was_done_in_time_is_busy(answer: Exception) -> None:
    store, _ = _store(answer)
    with pytest.raises(NotDoneError):
        store.update(WRITE)


@pytest.mark.parametrize("answer", [LOST, NOT_SENT, _error("InternalServerError", 500)], ids=repr)
def test_a_read_that_gets_no_answer_is_busy(answer: Exception) -> None:
    store, _ = _store(answer)
    with pytest.raises(NotDoneError):
        store.get("quotas", ("alice", "quota"))


def test_a_request_that_comes_too_late_is_busy() -> None:
    """Nothing is sent after the deadline."""
    store, line = _store({})
    store.deadline._deadline = float("-inf")
    with pytest.raises(NotDoneError):
        store.commit(WRITE)
    assert line.asked == []


@pytest.mark.parametrize("clears_up", [True, False])
@pytest.mark.parametrize(
    "answer", [*NOTHING_DONE, _cancelled("TransactionConflict", "None")], ids=repr
)
def test_a_caller_that_looks_again_gets_a_conflict_immediately(
    answer: Exception, *, clears_up: bool
) -> None:
    store, line = _store(answer, {})
    with pytest.raises(NotDoneError):
        store.commit_once(WRITE, WRITE, clears_up=clears_up)
    assert len(line.asked) == 1


@pytest.mark.parametrize("answer", [LOST, _error("InternalServerError", 500)], ids=repr)
def test_a_lost_answer_is_cleared_up_under_the_same_token_or_reported_immediately(
    answer: Exception,
) -> None:
    """As the caller wants it; a conflict on the way does not end it."""
    store, line = _store(answer, _cancelled("TransactionConflict", "None"), {})
    store.commit_once(WRITE, WRITE, clears_up=True)
    assert len({request["ClientRequestToken"] for request in line.asked}) == 1
    assert len(line.asked) == 3
    store, line = _store(answer, {})
    with pytest.raises(OutcomeUnknownError) as unknown:
        store.commit_once(WRITE, WRITE, clears_up=False)
    assert not isinstance(unknown.value, NotDoneError)
    assert len(line.asked) == 1


def test_a_failed_condition_beside_a_conflict_is_a_refusal() -> None:
    """Every reason counts; the old item is handed back."""
    store, line = _store(_cancelled("TransactionConflict", "ConditionalCheckFailed"), {})
    with pytest.raises(ConditionFailedError) as refused:
        store.commit(WRITE, WRITE)
    assert refused.value.old == {1: None}
    assert len(line.asked) == 1


def test_a_malformed_request_to_dynamodb_is_an_internal_error() -> None:
    store, line = _store(_error("ValidationException"), {})
    with pytest.raises(AwsRefusedError):
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
        store = Store(
            dict.fromkeys(KEY_NAMES, "T"),
            PausedDeadline(),
            "us-east-1",
            f"http://127.0.0.1:{server.server_port}",
        )
        with pytest.raises(OutcomeUnknownError):
            store.update(WRITE)
        server.shutdown()
    assert asked == ["DynamoDB_20120810.UpdateItem"]


def test_our_requests_carry_a_name_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not botocore's, which is put together anew, twice for every request."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    store = Store(dict.fromkeys(KEY_NAMES, "T"), PausedDeadline(), "us-east-1")

    class _SentError(Exception):
        pass

    def send(request: AWSPreparedRequest, **_: Any) -> None:
        raise _SentError(request.headers["User-Agent"])

    store._client.meta.events.register("before-send.dynamodb", send)
    with pytest.raises(_SentError, match=r"^b'Topup Botocore/[\d.]+[ ']"):
        store.get("quotas", ("alice", "quota"))


def test_credentials_that_were_missing_for_a_moment_are_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A client that was made without any would be without them for as long as
    the container lives.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clock = iter(range(0, 1000, 5))
    deadline = Deadline(clock=lambda: next(clock), sleep=lambda _: None)
    store = Store(dict.fromkeys(KEY_NAMES, "T"), deadline, "us-east-1", "http://127.0.0.1:9")
    with pytest.raises(NotDoneError, match="NoCredentialsError"):
        store.update(WRITE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    deadline.begin()
    # It is sent now, to a port where nothing listens.
    with pytest.raises(NotDoneError, match="not carried out in time"):
        store.update(WRITE)


@pytest.mark.parametrize(
    "value", [0.5, 1.0, float("nan"), Decimal("0.5"), {"fx_rate": 0.5}, [1, 0.5]], ids=repr
)
@pytest.mark.parametrize("part", ["set", "add", "must"])
def test_no_float_is_sent_to_dynamodb(part: str, value: Any) -> None:
    """Money and units are whole: what is not has come in from outside, and stops here.

    Stripe's SDK reads rates as decimals.
    """
    store, line = _store({})
    given: dict[str, Any] = {
        "set": {"rate": value},
        "add": {"rate": value},
        "must": (Must("rate", "==", value),),
    }
    write = Write("quotas", ("alice", "quota"), **{"set": {"name": "x"}, part: given[part]})
    with pytest.raises(TypeError, match="is not stored"):
        store.commit(write)
    assert line.asked == []


READS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("quotas", ("alice", "quota")),
    "query": lambda store: store.query("quotas", "alice"),
    "pages": lambda store: list(store.pages("quotas", "alice")),
    "scan": lambda store: store.scan("quotas"),
    "due": lambda store: store.due(1),
    "unseen": lambda store: store.unseen(""),
}


@pytest.mark.parametrize("answer", [LOST, NOT_SENT, _error("InternalServerError", 500)], ids=repr)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_read_has_an_unknown_outcome(read: Callable[[Store], object], answer: Exception) -> None:
    """It wrote nothing, whatever became of its answer: the caller may try again."""
    store, _ = _store(answer)
    with pytest.raises(NotDoneError):
        read(store)


@pytest.mark.parametrize("count", [1, 100])
def test_a_transaction_is_of_one_to_a_hundred_writes(count: int) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html."""
    store, line = _store({})
    store.commit(*[WRITE] * count)
    assert [len(request["TransactItems"]) for request in line.asked] == [count]


@pytest.mark.parametrize("count", [0, 101])
def test_a_transaction_of_too_few_or_too_many_writes_is_not_sent(count: int) -> None:
    """It is a fault of ours, told before DynamoDB is asked."""
    store, line = _store({})
    with pytest.raises(ValueError, match=f"not {count}"):
        store.commit(*[WRITE] * count)
    assert line.asked == []


@pytest.mark.parametrize(
    ("stored", "old"), [({"Item": {"remaining": {"N": "3"}}}, {"remaining": 3}), ({}, None)]
)
def test_a_refused_single_write_hands_back_what_it_met(
    stored: dict[str, Any], old: dict[str, Any] | None
) -> None:
    """A refused caller need not read it."""
    refused = _error("ConditionalCheckFailedException")
    refused.response.update(stored)
    store, _ = _store(refused)
    with pytest.raises(ConditionFailedError) as met:
        store.update(WRITE)
    assert met.value.old == {0: old}
