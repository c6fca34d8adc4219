"""A client of DynamoDB without DynamoDB: the methods that the product's store calls."""

from typing import Any


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
