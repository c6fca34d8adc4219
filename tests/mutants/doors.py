"""Bugs at the doors: DynamoDB's answers, and who may speak as Stripe."""

from typing import Final

from .bug import bug

DOORS: Final = (
    bug(
        "a plain debit is repeated when its answer is lost",
        "test_store.py::test_a_plain_debit_is_not_repeated_when_its_answer_is_lost",
        ("store.py", 'self._ask("UpdateItem", request, repeatable=False)', 'self._ask("UpdateItem", request, repeatable=True)'),
    ),
    bug(
        "botocore repeats a plain debit by itself",
        "test_store.py::test_nothing_below_us_repeats_a_plain_debit",
        ("store.py", '"total_max_attempts": 1', '"total_max_attempts": 3'),
    ),
    bug(
        "each attempt of a transaction has a token of its own",
        "test_store.py::test_a_transaction_is_repeated_under_one_token",
        (
            "store.py",
            "        try:\n            return self._connection.client",
            (
                '        if "ClientRequestToken" in request:\n'
                '            request["ClientRequestToken"] = str(uuid4())\n'
                "        try:\n            return self._connection.client"
            ),
        ),
    ),
    bug(
        "a transaction's conflict is taken for success",
        "test_store.py::test_a_transaction_is_repeated_under_one_token",
        (
            "store.py",
            "            except _AgainError as again:\n                last = again",
            "            except _AgainError as again:\n                last = again\n                return {}",
        ),
    ),
    bug(
        "an unknown outcome is taken for success",
        "test_store.py::test_trouble_without_end_is_an_unknown_outcome",
        (
            "store.py",
            '        raise OutcomeUnknownError(f"{operation} gave no answer in time") from last',
            "        return {} if last else {}",
        ),
    ),
    bug(
        "a conflict beside a failed condition is tried again for ever",
        "test_store.py::test_a_failed_condition_beside_a_conflict_is_a_refusal",
        ("store.py", "    if refused:\n", "    if refused and not any(code in PASSING for code in codes):\n"),
    ),
    bug(
        "an old signature is accepted",
        "test_signatures.py::test_a_timestamp_counts_for_five_minutes_both_ways",
        ("signatures.py", "verify_header(text, header, secret, TOLERANCE_SECONDS)", "verify_header(text, header, secret, None)"),
    ),
    bug(
        "a signature from the future is accepted",
        "test_signatures.py::test_a_timestamp_counts_for_five_minutes_both_ways",
        ("signatures.py", "> now() + TOLERANCE_SECONDS", "> now() + 10 * TOLERANCE_SECONDS"),
    ),
    bug(
        "only the first of several webhook secrets is tried",
        "test_signatures.py::test_while_secrets_are_rolled_either_of_them_signs",
        ("signatures.py", "for secret in secrets)", "for secret in secrets[:1])"),
    ),
    bug(
        "a secret that was rolled is not read anew",
        "test_signatures.py::test_a_secret_that_was_rolled_just_now_is_read_anew",
        ("signatures.py", "_matches(text, header, secrets(True))", "_matches(text, header, secrets(False))"),
    ),
    bug(
        "any signature will do",
        "test_signatures.py::test_anybody_elses_signature_is_refused",
        (
            "signatures.py",
            "    except (SignatureVerificationError, ValueError, IndexError):\n        return False",
            "    except (SignatureVerificationError, ValueError, IndexError):\n        return bool(header)",
        ),
    ),
    bug(
        "a delivery whose outcome is unknown is answered with 200",
        "test_answers.py::test_a_delivery_whose_outcome_is_unknown_is_asked_for_again",
        (
            "../webhook.py",
            "should it not, recovery settles it from there\n        raise\n",
            'should it not\n        return Outcome("recorded")\n',
        ),
    ),
    bug(
        "a delivery whose outcome is unknown is kept nowhere",
        "test_answers.py::test_a_delivery_whose_outcome_is_unknown_is_asked_for_again",
        ("../webhook.py", "        receiving_books().outbox.keep(fact)  #", "        #"),
    ),
    bug(
        "a message leaves the queue though its fact is not settled",
        "test_answers.py::test_a_message_stays_in_the_queue_until_its_fact_is_settled",
        ("../recover.py", "        return False\n", "        return True\n"),
    ),
)
