"""What each of DynamoDB's answers means: done, refused, not done, unknown, or an internal error."""

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from billing.errors import (
    AwsRefusedError,
    ConditionFailedError,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.storage.dynamodb import Store
from billing.storage.writes import KEY_NAMES, Write
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import Scripted, error

WRITE = Write("quotas", ("alice", "quota"), add={"remaining": -1})
DONE = {"Attributes": {"remaining": {"N": "1"}}}

MakeStore = Callable[..., tuple[Store, Scripted]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> MakeStore:
    """A store over a client that gives these answers."""

    def made(*answers: Any) -> tuple[Store, Scripted]:
        client = Scripted(*answers)
        monkeypatch.setattr(botocore.session, "get_session", lambda: client)
        return Store(dict.fromkeys(KEY_NAMES, "T"), PausedDeadline(), "eu-central-1"), client

    return made


def test_the_client_waits_a_second_for_a_connection_and_two_for_an_answer(make: MakeStore) -> None:
    """One try: what is repeated is for the store to say. It is made once, at the first call."""
    store, client = make({})
    assert client.made == []
    store.get("quotas", ("alice", "quota"))
    store.get("quotas", ("alice", "quota"))
    (made,) = client.made
    config = made.pop("config")
    assert made == {"service": "dynamodb", "region": "eu-central-1", "endpoint_url": None}
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert config.max_pool_connections == 64
    assert config.parameter_validation is False


def test_a_client_is_made_before_the_first_call_where_that_is_wanted(make: MakeStore) -> None:
    store, client = make({})
    store.connect()
    assert (len(client.made), client.asked) == (1, [])


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
NOT_DONE = [
    "TransactionConflictException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
]
UNKNOWN = ["InternalServerError", "ServiceUnavailable", "TransactionInProgressException"]


@pytest.mark.parametrize("code", NOT_DONE)
def test_a_throttled_or_conflicting_update_is_repeated(make: MakeStore, code: str) -> None:
    """Nothing was written. Under another name, it is an error that no retry mends."""
    store, client = make(error(code), DONE)
    assert store.update(WRITE) == {"remaining": 1}
    assert len(client.asked) == 2
    store, _ = make(error(code))
    with pytest.raises(NotDoneError, match=r"^UpdateItem was not carried out in time$"):
        store.update(WRITE)
    store, client = make(error(f"{code}_", message="no"))
    with pytest.raises(AwsRefusedError, match=rf"^UpdateItem: {code}_: no$"):
        store.update(WRITE)
    assert len(client.asked) == 1


@pytest.mark.parametrize("code", UNKNOWN)
def test_an_error_that_may_have_written_is_an_unknown_outcome(make: MakeStore, code: str) -> None:
    store, client = make(error(code), DONE)
    with pytest.raises(OutcomeUnknownError, match=rf"^UpdateItem gave no answer in time \({code}"):
        store.update(WRITE)
    assert len(client.asked) == 1


@pytest.mark.parametrize(("status", "is_unknown"), [(499, False), (500, True), (503, True)])
def test_any_server_error_is_an_unknown_outcome(
    make: MakeStore, status: int, *, is_unknown: bool
) -> None:
    """Whatever its name."""
    store, _ = make(error("Anything", status))
    with pytest.raises(OutcomeUnknownError if is_unknown else AwsRefusedError):
        store.update(WRITE)


# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
PASSING = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
]


@pytest.mark.parametrize("reason", PASSING)
def test_a_transaction_cancelled_for_a_passing_reason_is_repeated(
    make: MakeStore, reason: str
) -> None:
    """It may stand at any place among the reasons."""
    cancelled = error("TransactionCanceledException", reasons=["None", reason, "None"])
    store, client = make(cancelled, {})
    store.commit(WRITE)
    assert len(client.asked) == 2
    store, _ = make(cancelled)
    with pytest.raises(NotDoneError, match=r"^TransactWriteItems was not carried out in time$"):
        store.commit(WRITE)
    store, client = make(error("TransactionCanceledException", reasons=["None", f"{reason}_"]))
    with pytest.raises(AwsRefusedError, match=f"cancelled: None, {reason}_$"):
        store.commit(WRITE)
    assert len(client.asked) == 1


def test_every_write_whose_condition_failed_hands_back_what_it_met(make: MakeStore) -> None:
    """By its place; the others are not among them."""
    cancelled = error("TransactionCanceledException")
    cancelled.response["CancellationReasons"] = [
        {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}},
        {"Code": "None"},
        {"Code": "TransactionConflict"},
        {"Code": "ConditionalCheckFailed"},
        {},
    ]
    store, client = make(cancelled, {})
    with pytest.raises(ConditionFailedError, match=r"writes \[0, 3\]") as refused:
        store.commit(WRITE)
    assert refused.value.old == {0: {"n": 1}, 3: None}
    assert len(client.asked) == 1


@pytest.mark.parametrize(
    "failure",
    [
        ConnectTimeoutError(endpoint_url="dynamodb"),
        EndpointConnectionError(endpoint_url="dynamodb"),
    ],
    ids=repr,
)
def test_a_request_that_found_no_connection_is_sent_again(
    make: MakeStore, failure: Exception
) -> None:
    """It was never sent: even a debit without a key may be repeated."""
    store, client = make(failure, DONE)
    assert store.update(WRITE) == {"remaining": 1}
    assert len(client.asked) == 2


def test_a_lost_answer_says_by_which_error(make: MakeStore) -> None:
    """An operator reads it in the log."""
    store, _ = make(ReadTimeoutError(endpoint_url="dynamodb"))
    lost = r"UpdateItem gave no answer in time .the answer was lost, ReadTimeoutError.$"
    with pytest.raises(OutcomeUnknownError, match=lost):
        store.update(WRITE)


def test_a_request_without_credentials_ends_at_once_and_the_next_has_another_client(
    make: MakeStore,
) -> None:
    """Such a client would never look for them again."""
    store, client = make(NoCredentialsError(), DONE)
    with pytest.raises(NotDoneError, match=r"^UpdateItem: NoCredentialsError, nothing was sent$"):
        store.update(WRITE)
    assert len(client.asked) == 1
    store.update(WRITE)
    assert len(client.made) == 2


def test_a_conflict_after_a_lost_answer_stays_unknown(make: MakeStore) -> None:
    """The first try may have written; the deadline passes with conflicts alone."""
    lost = error("InternalServerError", 500)
    store, _ = make(lost, error("TransactionCanceledException", reasons=["TransactionConflict"]))
    with pytest.raises(OutcomeUnknownError, match=r"\(TransactionConflict\)$"):
        store.commit(WRITE)


def test_a_read_after_a_lost_answer_was_not_done(make: MakeStore) -> None:
    """A read writes nothing; the caller may ask again."""
    store, client = make(error("InternalServerError", 500))
    for read, operation in (
        (lambda: store.get("quotas", ("alice", "quota")), "GetItem"),
        (lambda: store.query("quotas", "alice"), "Query"),
        (lambda: store.scan("quotas"), "Scan"),
    ):
        with pytest.raises(NotDoneError, match=rf"^{operation} was not carried out in time$"):
            read()
    assert len(client.asked) > 3
