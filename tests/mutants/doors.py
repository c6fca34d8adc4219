"""Bugs at the doors: DynamoDB's answers, and who may speak as Stripe."""

from typing import Final

from .bug import bug

DOORS: Final = (
    bug(
        "the bound on keys is looked at before the write",
        "quota/test_api_keys.py::test_the_last_place_is_given_once_to_two_concurrent_requests",
        (
            "quota/api_keys.py",
            "    _commit_counted(books, owner, writes)\n    return {",
            (
                "    if _recount(books, owner, None) >= LIVE_MAX:\n        raise _no_place()\n"
                "    _commit_counted(books, owner, writes)\n    return {"
            ),
        ),
        (
            "quota/api_keys.py",
            'has_place = Must("live", "<", LIVE_MAX)',
            'has_place = Must("live", ">=", 0)',
        ),
    ),
    bug(
        "a late count is written over a concurrent one",
        "quota/test_api_keys.py::test_a_count_that_is_made_late_does_not_forget_a_concurrent_key",
        ("quota/api_keys.py", 'if seen else absent("owner")', 'if seen else exists("owner")'),
        ("quota/api_keys.py", 'add={"changes": 1}, must=(unchanged,)))', 'add={"changes": 1}))'),
    ),
    bug(
        "what Stripe refuses for good is taken for an outage",
        "stripe_api/test_refusals.py::test_a_refusal_for_good_is_told_as_such_with_all_that_stripe_said",
        (
            "stripe_api/client.py",
            "    if refusals.is_final(error):\n",
            "    if refusals.is_final(error) and refusals.passes(error):\n",
        ),
    ),
    bug(
        "an outage of Stripe is taken for a refusal for good",
        "stripe_api/test_refusals.py::test_an_answer_that_is_not_stripes_refuses_nothing_for_good",
        (
            "stripe_api/refusals.py",
            "status not in PASSING and bool(error_of(error))",
            "status not in PASSING",
        ),
    ),
    bug(
        "Stripe's words are logged with the customer's name in them",
        "stripe_api/test_refusals.py::test_a_user_who_is_no_address_is_hidden_too",
        (
            "stripe_api/refusals.py",
            "        value = value.replace(secret, HIDDEN)\n",
            "        pass\n",
        ),
    ),
    bug(
        "a proxy's 404 says that Stripe has no such session",
        "stripe_api/test_refusals.py::test_a_proxys_404_does_not_say_that_stripe_has_no_such_session",
        (
            "stripe_api/refusals.py",
            'return error_of(error).get("code") == MISSING',
            "return error.http_status == 404",
        ),
    ),
    bug(
        "an item is read from a replica that lags",
        "storage/test_dynamodb.py::test_what_was_written_is_read_though_replicas_lag",
        (
            "storage/dynamodb.py",
            '"Key": _key(table, key), "ConsistentRead": True}',
            '"Key": _key(table, key)}',
        ),
    ),
    bug(
        "of a payment's refunds the first page alone is read",
        "stripe_api/test_client.py::test_all_refunds_of_a_payment_are_read_page_after_page",
        (
            "stripe_api/client.py",
            '            if not page["has_more"]:\n                return\n            after',
            "            if page:\n                return\n            after",
        ),
    ),
    bug(
        "floats are stored",
        "storage/test_dynamodb.py::test_no_float_is_sent_to_dynamodb",
        (
            "storage/expressions.py",
            "    if isinstance(value, int):\n",
            "    if isinstance(value, int | float):\n",
        ),
    ),
    bug(
        "a plain debit is repeated when its answer is lost",
        "storage/test_dynamodb.py::test_a_plain_debit_is_not_repeated_when_its_answer_is_lost",
        (
            "storage/dynamodb.py",
            'self._ask("UpdateItem", request, repeatable=False)',
            'self._ask("UpdateItem", request, repeatable=True)',
        ),
    ),
    bug(
        "botocore repeats a plain debit by itself",
        "storage/test_dynamodb.py::test_nothing_below_us_repeats_a_plain_debit",
        ("storage/dynamodb.py", '"total_max_attempts": 1', '"total_max_attempts": 3'),
    ),
    bug(
        "each attempt of a transaction has a token of its own",
        "storage/test_dynamodb.py::test_a_transaction_is_repeated_under_one_token",
        (
            "storage/dynamodb.py",
            '        try:\n            with tracing.call("DynamoDB", operation):',
            (
                '        if "ClientRequestToken" in request:\n'
                '            request["ClientRequestToken"] = str(uuid4())\n'
                '        try:\n            with tracing.call("DynamoDB", operation):'
            ),
        ),
    ),
    bug(
        "a transaction's conflict is taken for success",
        "storage/test_dynamodb.py::test_a_transaction_is_repeated_under_one_token",
        (
            "storage/dynamodb.py",
            "            except _AgainError as again:\n                last = again",
            "            except _AgainError as again:\n                last = again\n                return {}",
        ),
    ),
    bug(
        "an unknown outcome is taken for success",
        "storage/test_dynamodb.py::test_trouble_without_end_is_an_unknown_outcome",
        (
            "storage/dynamodb.py",
            '        raise OutcomeUnknownError(f"{operation} gave no answer in time") from last',
            "        return {} if last else {}",
        ),
    ),
    bug(
        "a conflict beside a failed condition is tried again for ever",
        "storage/test_dynamodb.py::test_a_failed_condition_beside_a_conflict_is_a_refusal",
        (
            "storage/dynamodb.py",
            "    if refused:\n",
            "    if refused and not any(code in PASSING for code in codes):\n",
        ),
    ),
    bug(
        "an old signature is accepted",
        "stripe_api/test_signatures.py::test_a_timestamp_counts_for_five_minutes_both_ways",
        (
            "stripe_api/signatures.py",
            "verify_header(text, header, secret, TOLERANCE_SECONDS)",
            "verify_header(text, header, secret, None)",
        ),
    ),
    bug(
        "a signature from the future is accepted",
        "stripe_api/test_signatures.py::test_a_timestamp_counts_for_five_minutes_both_ways",
        (
            "stripe_api/signatures.py",
            "> now() + TOLERANCE_SECONDS",
            "> now() + 10 * TOLERANCE_SECONDS",
        ),
    ),
    bug(
        "only the first of several webhook secrets is tried",
        "stripe_api/test_signatures.py::test_while_secrets_are_rolled_either_of_them_signs",
        ("stripe_api/signatures.py", "for secret in secrets)", "for secret in secrets[:1])"),
    ),
    bug(
        "a secret that was rolled is not read anew",
        "stripe_api/test_signatures.py::test_a_secret_that_was_rolled_just_now_is_read_anew",
        (
            "stripe_api/signatures.py",
            "_matches(text, header, secrets(True))",
            "_matches(text, header, secrets(False))",
        ),
    ),
    bug(
        "every forged signature reads the secret anew",
        "test_vault.py::test_so_many_re_reads_are_allowed_at_once_and_no_more",
        (
            "wiring/secrets.py",
            "        if self._spent_until > now + self._ahead_seconds:\n",
            "        if self._spent_until < 0:\n",
        ),
    ),
    bug(
        "a flood of forged signatures hides a rolled secret for as long as it goes on",
        "test_vault.py::test_a_flood_is_allowed_one_re_read_in_ten_seconds",
        (
            "wiring/secrets.py",
            "            return False\n        self._spent_until",
            "            self._spent_until += self._every_seconds\n            return False\n        self._spent_until",
        ),
    ),
    bug(
        "any signature will do",
        "stripe_api/test_signatures.py::test_anybody_elses_signature_is_refused",
        (
            "stripe_api/signatures.py",
            "    except (SignatureVerificationError, ValueError, IndexError):\n        return False",
            "    except (SignatureVerificationError, ValueError, IndexError):\n        return bool(header)",
        ),
    ),
    bug(
        "a delivery whose outcome is unknown is answered with 200",
        "test_webhook.py::test_a_delivery_whose_outcome_is_unknown_is_asked_for_again",
        (
            "../webhook.py",
            "outbox.keep(fact)\n        raise\n",
            'outbox.keep(fact)\n        return Outcome("recorded")\n',
        ),
    ),
    bug(
        "a delivery whose outcome is unknown is kept nowhere",
        "test_webhook.py::test_a_delivery_whose_outcome_is_unknown_is_asked_for_again",
        ("../webhook.py", "        receiving_books().outbox.keep(fact)\n", ""),
    ),
    bug(
        "a message leaves the queue though its fact is not settled",
        "test_webhook.py::test_a_message_stays_in_the_queue_until_its_fact_is_settled "
        "payments/test_fact_queue.py::test_an_event_stays_in_the_queue_while_its_outcome_is_unknown",
        (
            "../recover.py",
            'stays in the queue", event_id=name)\n        return False\n',
            'stays in the queue", event_id=name)\n        return True\n',
        ),
    ),
    bug(
        "an event of any source is taken for Stripe's",
        "payments/test_fact_queue.py::test_what_is_neither_an_event_of_stripes_nor_a_fact_stays_in_the_queue",
        (
            "payments/fact_queue.py",
            'not str(message.get("source")).startswith(STRIPES_SOURCE)',
            '"source" not in message',
        ),
    ),
    bug(
        "an event that is not for us comes again and again",
        "payments/test_fact_queue.py::test_an_event_that_is_not_for_us_is_counted_and_goes",
        (
            "../recover.py",
            'event_id=str(event.get("id"))[:100])\n        return\n',
            'event_id="")\n        raise OutcomeUnknownError\n',
        ),
    ),
    bug(
        "one message's fault sends the whole batch back",
        "payments/test_fact_queue.py::test_a_message_with_a_fault_of_ours_sends_no_other_back",
        ("../recover.py", "    except Exception:", "    except ZeroDivisionError:"),
    ),
    bug(
        "a batch goes on until the function is killed",
        "test_recover.py::test_a_batch_ends_in_time_and_what_is_left_comes_again",
        (
            "../recover.py",
            "        if not go_on():\n            left",
            "        if go_on is None:\n            left",
        ),
    ),
    bug(
        "the messages that time did not suffice for leave the queue",
        "test_recover.py::test_a_batch_ends_in_time_and_what_is_left_comes_again",
        (
            "../recover.py",
            "            left += 1\n",
            "            left += 1\n            continue\n",
        ),
    ),
)
