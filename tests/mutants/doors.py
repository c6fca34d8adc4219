"""Bugs at the edges: DynamoDB's answers, and who may speak as Stripe."""

from typing import Final

from .bug import bug

CONNECTION: Final = "storage/connection.py"
REFUSALS: Final = "stripe_api/refusals.py"
SIGNATURES: Final = "stripe_api/signatures.py"
TOLERANCE: Final = (
    "stripe_api/test_signatures.py::test_a_timestamp_counts_for_five_minutes_both_ways"
)

DOORS: Final = (
    bug(
        "what Stripe refuses for good is taken for an outage",
        "stripe_api/test_refusals.py"
        "::test_a_permanent_refusal_is_reported_with_all_details_from_stripe",
        (
            "stripe_api/outcomes.py",
            "refusals.is_final(error)",
            "refusals.is_final(error) and refusals.passes(error)",
        ),
    ),
    bug(
        "an outage of Stripe is taken for a refusal for good",
        "stripe_api/test_refusals.py::test_an_answer_that_is_not_stripes_refuses_nothing_for_good",
        (
            REFUSALS,
            "is_client_error and status not in PASSING and bool(error_of(error))",
            "is_client_error and status not in PASSING",
        ),
    ),
    bug(
        "an item is read from a stale replica",
        "storage/test_dynamodb.py::test_what_was_written_is_read_though_replicas_lag",
        (
            "storage/reader.py",
            '{"TableName": ..., "Key": key_of(table, key), "ConsistentRead": True}',
            '{"TableName": ..., "Key": key_of(table, key)}',
        ),
    ),
    bug(
        "a plain debit is repeated when its answer is lost",
        "storage/test_dynamodb.py::test_a_plain_debit_is_not_repeated_when_its_answer_is_lost",
        (
            "storage/dynamodb.py",
            'self._ask("UpdateItem", request, IF_NOT_DONE)',
            'self._ask("UpdateItem", request, UNTIL_DEADLINE)',
        ),
    ),
    bug(
        "each attempt of a transaction has a token of its own",
        "storage/test_dynamodb.py::test_a_transaction_is_repeated_under_one_token",
        (
            CONNECTION,
            "self._send(operation, request)",
            "self._send(operation, {**request, 'ClientRequestToken': str(object())})",
        ),
    ),
    bug(
        "an unknown outcome is taken for success",
        "storage/test_dynamodb.py::test_trouble_without_end_is_an_unknown_outcome",
        (
            CONNECTION,
            "raise OutcomeUnknownError(...) from last",
            "return {}",
        ),
    ),
    bug(
        "a lost answer is called busy",
        "storage/test_dynamodb.py::test_trouble_without_end_is_an_unknown_outcome",
        (
            CONNECTION,
            "is_unknown or (error.is_unknown and operation not in READS)",
            "False",
        ),
    ),
    bug(
        "an old signature is accepted",
        TOLERANCE,
        (
            SIGNATURES,
            "WebhookSignature.verify_header(text, header, secret, TOLERANCE_SECONDS)",
            "WebhookSignature.verify_header(text, header, secret, None)",
        ),
    ),
    bug(
        "any signature will do",
        "stripe_api/test_signatures.py::test_a_signature_with_another_secret_is_refused",
        (
            SIGNATURES,
            "try:\n    ...\nexcept ...:\n    return False",
            "try:\n    ...\nexcept ...:\n    return bool(header)",
        ),
    ),
    bug(
        "a delivery whose outcome is unknown is answered with 200",
        "test_webhook.py::test_a_delivery_whose_outcome_is_unknown_is_asked_for_again",
        (
            "../webhook.py",
            "receiving_books().outbox.keep(fact)\nraise",
            'receiving_books().outbox.keep(fact)\nreturn Outcome("recorded")',
        ),
    ),
    bug(
        "a message leaves the queue though its event is not settled",
        "test_webhook.py::test_a_message_stays_in_the_queue_until_its_event_is_settled",
        (
            "../recover.py",
            '_settle_message(record["body"])',
            '_settle_message(record["body"]) or True',
        ),
    ),
)
