"""Measures CPU time of the built artifact's handlers, inside the artifact alone (``-I -S -B``).

The wire is cut under botocore: requests are answered immediately, so only Python is timed.
Blocks of each candidate alternate, and each block's CPU seconds are printed.
Arguments: the artifact, a file with the events.
"""

import gc
import io
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, sys.argv[1])
os.environ.update(json.loads(Path(sys.argv[2]).read_text())["environment"])

import boto3
import stripe
from aws_lambda_powertools import utilities
from boto3.dynamodb.types import TypeDeserializer
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from stripe import WebhookSignature

GIVEN = json.loads(Path(sys.argv[2]).read_text())
TARGET = "X-Amz-Target"
Event = Mapping[str, Any]
Candidates = dict[str, Callable[[Event], object]]
sent: list[tuple[str, bytes]] = []
"""What went over the cut wire: target and body."""


class Raw(io.BytesIO):
    """An answer's body as urllib3 would stream it."""

    def stream(self) -> Iterator[bytes]:
        """In one piece."""
        yield self.getvalue()


ANSWERS = {
    "GetSecretValue": {"SecretString": json.dumps({"secrets": [GIVEN["secret"]]})},
    "UpdateItem": {"Attributes": {"remaining": {"N": "999"}, "used": {"N": "1"}}},
    "GetItem": {"Item": GIVEN["item_read"]},
}


def cut_wire(_session: object, request: Any) -> AWSResponse:
    """Answer immediately."""
    target = request.headers[TARGET]
    operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    sent.append((operation, request.body))
    body = json.dumps(ANSWERS.get(operation, {})).encode()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(body)),
        "x-amzn-requestid": "R",
    }
    return AWSResponse(request.url, 200, headers, Raw(body))


URLLib3Session.send = cut_wire
client = boto3.client("dynamodb")
lean = boto3.client("dynamodb", config=Config(parameter_validation=False))
resource = boto3.resource("dynamodb")


class Context:
    """Lambda's."""

    aws_request_id = "c"
    function_name = "f"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Plenty."""
        return 15000


def captured(module: ModuleType, event: Event) -> list[tuple[str, dict[str, Any]]]:
    """What a handler sends for an event, to be sent by the floor as well."""
    sent.clear()
    answer = module.handler(event, Context())
    assert answer["statusCode"] == GIVEN["status_expected"], answer
    return [
        (operation, json.loads(body)) for operation, body in sent if operation != "GetSecretValue"
    ]


def signed(event: Event) -> Event:
    """Stripe's signature ages: made anew for every block."""
    header = WebhookSignature.generate_signature_header(
        event["body"], GIVEN["secret"], int(time.time())
    )
    return {**event, "headers": {**event["headers"], "stripe-signature": header}}


def received(event: Event) -> dict[str, Any]:
    """Verify and parse: every floor begins with it."""
    WebhookSignature.verify_header(
        event["body"], event["headers"]["stripe-signature"], GIVEN["secret"], 300
    )
    parsed: dict[str, Any] = json.loads(event["body"])
    return parsed


def constructed(event: Event) -> stripe.Event:
    """Verify and parse as Stripe's documentation does it, and the peers with it.

    https://docs.stripe.com/webhooks#verify-official-libraries
    """
    made: stripe.Event = stripe.Webhook.construct_event(
        event["body"], event["headers"]["stripe-signature"], GIVEN["secret"]
    )
    return made


def as_people_write_it(update: Mapping[str, Any]) -> Callable[[], object]:
    """An update on boto3's Table with Python's values, which is how most code has it."""
    plain = TypeDeserializer().deserialize
    table = resource.Table(update["TableName"])
    values = {name: plain(value) for name, value in update["ExpressionAttributeValues"].items()}
    members = {
        name: update[name]
        for name in ("UpdateExpression", "ConditionExpression", "ExpressionAttributeNames")
        if name in update
    }
    key = {name: plain(value) for name, value in update["Key"].items()}
    return lambda: table.update_item(Key=key, ExpressionAttributeValues=values, **members)


def candidates_of_settling() -> tuple[Event, Candidates]:
    """The webhook, its floors, and the two usual ways."""
    import webhook  # noqa: PLC0415 - the artifact's

    captured(webhook, signed(GIVEN["paid"]))  # a container's first reads the deployment's id
    ((_, request),) = captured(webhook, signed(GIVEN["paid"]))

    def floor(event: Event) -> None:
        received(event)
        client.transact_write_items(**request)

    def lean_floor(event: Event) -> None:
        received(event)
        lean.transact_write_items(**request)

    names = {
        "floor": floor,
        "lean floor": lean_floor,
        "topup": lambda event: webhook.handler(event, Context()),
    }
    return GIVEN["paid"], {
        **names,
        "look-mark-update-update": look_mark_update_update(request),
        "powertools idempotency": once(request),
    }


def look_mark_update_update(request: Mapping[str, Any]) -> Callable[[Event], object]:
    """Has this event been seen? Mark it; update the payment; update the balance."""
    events = resource.Table("events")
    updates = [as_people_write_it(write["Update"]) for write in request["TransactItems"][:2]]

    def act(event: Event) -> None:
        name = constructed(event).id
        if events.get_item(Key={"id": name}).get("Item", {}).get("id"):
            return
        events.put_item(
            Item={"id": name, "seen": int(time.time())},
            ConditionExpression="attribute_not_exists(id)",
        )
        for update in updates:
            update()

    return act


def once(request: Mapping[str, Any]) -> Callable[[Event], object]:
    """Wrap the transaction in powertools' decorator, which writes before it and after it."""
    utilities.__path__ += GIVEN["utilities"]  # the artifact is without what no function uses
    from aws_lambda_powertools.utilities.idempotency import (  # noqa: PLC0415 - see above
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
        idempotent_function,
    )

    layer = DynamoDBPersistenceLayer(table_name="idempotency")
    config = IdempotencyConfig(event_key_jmespath="id", use_local_cache=False)

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="event", persistence_store=layer, config=config
    )
    def settle(event: dict[str, Any]) -> dict[str, Any]:
        client.transact_write_items(**request)
        return {"id": event["id"]}

    def act(event: Event) -> None:
        parsed = constructed(event).to_dict()
        parsed["id"] = (
            # it keeps what it has seen in the answers of the table: each is new
            f"evt_{time.perf_counter_ns()}"
        )
        settle(event=parsed)

    return act


def candidates_of_debiting() -> tuple[Event, Candidates]:
    """The plain debit, and the bare conditional update that it cannot do without."""
    import debit_quota  # noqa: PLC0415 - the artifact's

    ((_, request),) = captured(debit_quota, GIVEN["debit"])
    return GIVEN["debit"], {
        "floor": lambda _: client.update_item(**request),
        "lean floor": lambda _: lean.update_item(**request),
        "topup": lambda event: debit_quota.handler(event, Context()),
    }


def main() -> None:
    """Print the blocks' seconds, and how many calls each candidate makes, as JSON."""
    told = sys.stdout
    # What a handler logs goes where Lambda's would be read from: nowhere here.
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    event, candidates = {"settle": candidates_of_settling, "debit": candidates_of_debiting}[
        sys.argv[3]
    ]()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    calls: dict[str, float] = {}
    for number in range(GIVEN["rounds"] + 1):
        order = list(candidates)
        random.shuffle(order)
        for name in order:
            now = signed(event) if sys.argv[3] == "settle" else event
            act = candidates[name]
            sent.clear()
            gc.collect()
            began = time.process_time()
            for _ in range(GIVEN["block"]):
                act(now)
            if number:  # the first round warms up
                seconds[name].append(time.process_time() - began)
            calls[name] = (
                len([1 for operation, _ in sent if operation != "GetSecretValue"]) / GIVEN["block"]
            )
    told.write(json.dumps({"seconds": seconds, "calls": calls}))


main()
