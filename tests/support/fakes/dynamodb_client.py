"""A client of DynamoDB without DynamoDB: the methods that the product's store calls."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError


class DynamoDBClient:
    """Stands where botocore's client stands. ``ask`` answers every operation."""

    def ask(self, operation: str, request: dict[str, Any]) -> Any:
        """Answer a request as botocore's client does, or raise."""
        raise NotImplementedError(operation)

    def get_item(self, **request: Any) -> Any:
        """See botocore."""
        return self.ask("GetItem", request)

    def query(self, **request: Any) -> Any:
        """See botocore."""
        return self.ask("Query", request)

    def scan(self, **request: Any) -> Any:
        """See botocore."""
        return self.ask("Scan", request)

    def update_item(self, **request: Any) -> Any:
        """See botocore."""
        return self.ask("UpdateItem", request)

    def transact_write_items(self, **request: Any) -> Any:
        """See botocore."""
        return self.ask("TransactWriteItems", request)


class Scripted(DynamoDBClient):
    """Gives the next answer, and remembers what was asked. The last answer is given for ever.

    It also is botocore's session that makes it: ``monkeypatch`` ``botocore.session.get_session``.
    """

    def __init__(self, *answers: Any) -> None:
        """An answer that is an exception is raised."""
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.made: list[dict[str, Any]] = []

    def ask(self, operation: str, request: dict[str, Any]) -> Any:
        """Answer as botocore would."""
        self.asked.append((operation, dict(request)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def create_client(self, service: str, region: str | None, **options: Any) -> "Scripted":
        """Remember how it was made."""
        self.made.append({"service": service, "region": region, **options})
        return self


def error(
    code: str, status: int = 400, message: str = "", reasons: Sequence[str] = ()
) -> ClientError:
    """DynamoDB's answer of an error, with the reasons of a cancelled transaction."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(answer, "any")
