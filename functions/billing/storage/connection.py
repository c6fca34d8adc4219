"""The connection to DynamoDB: sends a request, and retries it until the deadline."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from billing import tracing
from billing.deadline import Deadline
from billing.errors import NotDoneError, OutcomeUnknownError
from billing.storage.refusals import NoResultError, meaning

CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 2
USER_AGENT: Final = f"Topup Botocore/{botocore.__version__}"
READS: Final = frozenset({"GetItem", "Query", "Scan"})
"""Operations that write nothing, whatever became of them."""


class Retry(NamedTuple):
    """Says which failures of a request are retried until the deadline."""

    not_done: bool
    """It is known that nothing was written."""
    unknown: bool
    """It may have been written: only for what is idempotent."""


UNTIL_DEADLINE: Final = Retry(not_done=True, unknown=True)
IF_NOT_DONE: Final = Retry(not_done=True, unknown=False)
IF_UNKNOWN: Final = Retry(not_done=False, unknown=True)
NEVER: Final = Retry(not_done=False, unknown=False)


class Connection:
    """A thread-safe connection to all tables of the stack."""

    def __init__(
        self,
        tables: Mapping[str, str],
        deadline: Deadline,
        region: str | None = None,
        host: str | None = None,
    ) -> None:
        """``tables`` maps our names of tables to the stack's.

        botocore reads the credentials from the environment, and the region unless it is given.
        """
        self._tables = tables
        self.deadline = deadline
        self._region = region
        self._host = host

    @cached_property
    def _client(self) -> Any:
        """Made by the first call: it holds credentials, which no snapshot of a container may hold.

        It has a session of its own. Threads may share botocore's clients, but not a session:
        https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
        """
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=64,
            # We retry ourselves, in ``_ask``: botocore would repeat an ADD without a condition
            # whose answer was lost, and would never repeat a conflict.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # our own code builds every request, and DynamoDB checks it all the same
            parameter_validation=False,
            user_agent=USER_AGENT,  # botocore builds its own twice for every request
        )
        return botocore.session.get_session().create_client(
            "dynamodb", self._region, endpoint_url=self._host, config=config
        )

    def connect(self) -> None:
        """Create the boto3 client now instead of at the first call."""
        _ = self._client

    def _ask(
        self, operation: str, request: dict[str, Any], retry: Retry
    ) -> dict[str, Any]:
        """Send a request until it has a result, or ``retry`` or the deadline ends the tries.

        One try with an unknown outcome makes the whole outcome unknown, whatever later tries say.
        """
        last: NoResultError | None = None
        is_unknown = False
        for _ in self.deadline.attempts():
            try:
                return self._send(operation, request)
            except NoResultError as error:
                last = error
                is_unknown = is_unknown or (
                    error.is_unknown and operation not in READS
                )
            may_repeat = retry.unknown if is_unknown else retry.not_done
            if not may_repeat:
                break
        if is_unknown:
            raise OutcomeUnknownError(
                f"{operation} gave no answer in time ({last})"
            ) from last
        raise NotDoneError(f"{operation} was not carried out in time") from last

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request once, by the client's own method. Raises what its answer means."""
        try:
            send = getattr(self._client, xform_name(operation))
            with tracing.call("DynamoDB", operation):
                answer: dict[str, Any] = send(**request)
            return answer
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise NoResultError("nothing was sent", is_unknown=False) from error
        except NoCredentialsError as error:
            # This client would remember for ever that there were none for a moment.
            vars(self).pop("_client", None)
            raise NotDoneError(
                f"{operation}: {type(error).__name__}, nothing was sent"
            ) from error
        except BotoCoreError as error:
            why = f"the answer was lost, {type(error).__name__}"
            raise NoResultError(why, is_unknown=True) from error
        except ClientError as error:
            raise meaning(operation, error.response) from error
