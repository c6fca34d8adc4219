"""Bugs in spending: debits, holds, upkeep and keys."""

from typing import Final

from .bug import bug

SPENDING: Final = (
    bug(
        "a debit is taken without looking at what remains",
        "quota/test_spending.py::test_more_than_remains_is_not_taken",
        (
            "quota/spending.py",
            'must=(Must("remaining", ">=", units), absent_or(',
            "must=(absent_or(",
        ),
    ),
    bug(
        "a keyed debit does not keep its answer",
        "quota/test_spending.py::test_a_keyed_debit_is_taken_once_and_its_answer_kept",
        (
            "quota/debits.py",
            "commit_once(account, kept, *(back.closing",
            "commit_once(account, *(back.closing",
        ),
    ),
    bug(
        "a keyed debit keeps its answer in a second transaction and overwrites the first",
        "quota/test_spending.py::test_a_keyed_debit_is_taken_once_and_its_answer_kept",
        (
            "quota/debits.py",
            'kept = creates("quotas", (row, "debit"), {',
            'kept = Write("quotas", (row, "debit"), set={',
        ),
    ),
    bug(
        "a key with another body replays the first answer",
        "quota/test_spending.py::test_a_key_with_another_body_is_a_conflict",
        ("quota/debits.py", 'if used.item["body"] != body:', 'if not used.item["body"]:'),
    ),
    bug(
        "a key's body is the units alone, whoever's they are",
        "quota/test_spending.py::test_a_key_with_another_body_is_a_conflict",
        ("quota/debits.py", "digest(user_id, str(units))", "digest(str(units))"),
    ),
    bug(
        "two callers share their keys",
        "quota/test_spending.py::test_two_callers_keys_are_their_own",
        ("quota/debits.py", "digest(scope, key)", "digest(key)"),
    ),
    bug(
        "more is captured than was held",
        "quota/test_spending.py::test_no_more_is_captured_than_was_held",
        (
            "quota/holds.py",
            'if units > row["units"]:',
            'if units > row["units"] + balance.remaining:',
        ),
    ),
    bug(
        "what was not captured does not come back",
        "quota/test_spending.py::test_what_was_not_captured_comes_back",
        ("quota/holds.py", 'come_in(balance, row["units"] - units)', "come_in(balance, 0)"),
    ),
    bug(
        "a hold is released without looking whether it is still open",
        "quota/test_spending.py::test_two_releases_at_the_same_time_give_back_once",
        (
            "quota/hold_expiry.py",
            'delete=True, must=(exists("user_id"), equals("units", row["units"])))',
            "delete=True)",
        ),
        (
            "quota/hold_expiry.py",
            'creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed)',
            'Write("quotas", (user_id, item.replace("hold#", "closed#", 1)), set=closed)',
        ),
    ),
    bug(
        "a capture after the release is answered as done",
        "quota/test_spending.py::test_a_released_hold_is_not_captured",
        (
            "quota/holds.py",
            'if closed["state"] != state or closed["captured"] != units:',
            'if closed["state"] == "expired":',
        ),
    ),
    bug(
        "a hold is captured after its time",
        "quota/test_spending.py::test_a_hold_past_its_time_is_not_captured",
        ("quota/holds.py", 'if row["expires_at"] <= epoch(now):', 'if row["expires_at"] <= 0:'),
    ),
    bug(
        "a hold past its time is not given back",
        "quota/test_spending.py::test_a_hold_past_its_time_counts_as_given_back_at_the_next_read",
        ("quota/hold_expiry.py", "return 0 < balance.holds_due <= now_epoch", "return False"),
    ),
    bug(
        "a hold past its time goes, and its units with it",
        "quota/test_hold_expiry.py::test_too_little_comes_back_and_nothing_is_taken",
        ("quota/hold_expiry.py", 'add={"held": -units, **movement.add}', 'add={"held": -units}'),
    ),
    bug(
        "a hold that is due before the others is not noted",
        "quota/test_spending.py::test_a_hold_past_its_time_counts_as_given_back_at_the_next_read",
        ("quota/holds.py", "expires_at < balance.holds_due", "expires_at > balance.holds_due"),
    ),
    bug(
        "the next hold's time is forgotten when one is given back",
        "quota/test_spending.py::test_what_expires_later_is_given_back_later",
        (
            "quota/hold_expiry.py",
            'next_due = rows[len(expired)]["expires_at"] if len(rows) > len(expired) else 0',
            "next_due = 0",
        ),
    ),
    bug(
        "a day's use is itemised without its entry",
        "quota/test_spending.py::test_a_days_use_becomes_one_entry",
        ("quota/daily_usage.py", "*([entry.write()] if units else [])", "*[]"),
    ),
    bug(
        "a revoked key goes on working",
        "quota/test_api_keys.py::test_a_revoked_key_works_nowhere",
        (
            "quota/api_keys.py",
            """        Write("keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True),\n""",
            "",
        ),
    ),
    bug(
        "anybody can revoke a key",
        "quota/test_api_keys.py::test_nobody_revokes_another_users_key",
        ("quota/api_keys.py", 'delete=True, must=(exists("owner"),)', "delete=True"),
    ),
    bug(
        "a key's number opens without its secret",
        "quota/test_api_keys.py::test_a_key_opens_its_owners_account_and_no_other",
        ("quota/api_keys.py", "if row and matches else None", "if row else None"),
    ),
    bug(
        "a key's secret is stored in clear",
        "quota/test_api_keys.py::test_the_secret_is_nowhere_in_the_table",
        ("quota/api_keys.py", "return sha256(secret.encode()).hexdigest()", "return secret"),
    ),
    bug(
        "a secret's hash is compared by ==",
        "quota/test_api_keys.py::test_a_secrets_hash_is_compared_in_constant_time",
        (
            "quota/api_keys.py",
            'hmac.compare_digest(row["hash"] if row else NOBODY, _hash(parts[3]))',
            '(row["hash"] if row else NOBODY) == _hash(parts[3])',
        ),
    ),
    bug(
        "units are taken while a hold's time is over",
        "quota/test_hold_expiry.py::test_the_answer_counts_what_came_back",
        ("quota/spending.py", 'absent_or("holds_due", ">", epoch(now)), ', ""),
    ),
    bug(
        "a debit after an expiry takes from an account that has changed since it looked",
        "quota/test_hold_expiry.py::test_a_refund_beside_a_give_back_takes_what_it_finds_and_nothing_is_oversold",
        ("quota/spending.py", 'equals("remaining", seen.remaining), today', "today"),
    ),
    bug(
        "a hold is given back and its units taken, and what was given back is forgotten",
        "quota/test_hold_expiry.py::test_the_answer_counts_what_came_back",
        (
            "quota/spending.py",
            '"remaining": after.remaining - seen.remaining - units',
            '"remaining": -units',
        ),
    ),
    bug(
        "two hands give back the same hold",
        "quota/test_hold_expiry.py::test_two_hands_give_back_once",
        (
            "quota/hold_expiry.py",
            'must=(equals("holds_due", balance.holds_due), equals("holds_placed", balance.holds_placed), *movement.must)',
            "must=movement.must",
        ),
        ("quota/spending.py", 'equals("remaining", seen.remaining), today', "today"),
        (
            "quota/hold_expiry.py",
            'delete=True, must=(exists("user_id"), equals("units", row["units"])))',
            "delete=True)",
        ),
        (
            "quota/hold_expiry.py",
            'creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed)',
            'Write("quotas", (user_id, item.replace("hold#", "closed#", 1)), set=closed)',
        ),
    ),
    bug(
        "each part that is given back is followed by a pause",
        "quota/test_hold_expiry.py::test_fifteen_hundred_expired_holds_are_given_back_without_a_pause",
        ("quota/spending.py", "deadline.attempts(pauses=False)", "deadline.attempts()"),
    ),
    bug(
        "a debit gives back for as long as there is something to give back",
        "quota/test_hold_expiry.py::test_a_debit_gives_up_in_time_and_what_was_given_back_stays_so",
        (
            "quota/spending.py",
            "for _ in books.store.deadline.attempts(pauses=False):",
            "while True:",
        ),
    ),
    bug(
        "a hold that is placed as another expires is not noted",
        "quota/test_hold_expiry.py::test_a_hold_that_is_placed_as_another_expires_is_given_back_in_its_turn",
        (
            "quota/holds.py",
            'set={**account.set, **({"holds_due": due} if sooner else {})}',
            "set=account.set",
        ),
        ("quota/holds.py", "        remove=(),\n", ""),
    ),
    bug(
        "a hold of a second may last a hundredth of one",
        "quota/test_hold_expiry.py::test_a_hold_lasts_no_less_than_was_asked_for",
        ("clock.py", "return math.ceil(moment.timestamp())", "return epoch(moment)"),
    ),
    bug(
        "a capture that met a conflict is tried again without a look at the clock",
        "quota/test_hold_expiry.py::test_a_hold_is_not_closed_by_a_second_try_after_its_time",
        (
            "quota/holds.py",
            "books.store.commit_once(*writes, clears_up=False)",
            "books.store.commit(*writes)",
        ),
    ),
    bug(
        "a capture whose answer was lost is tried again without a look at the clock",
        "quota/test_hold_expiry.py::test_a_hold_is_not_closed_by_a_second_try_after_its_time",
        (
            "quota/holds.py",
            "books.store.commit_once(*writes, clears_up=False)",
            "books.store.commit_once(*writes, clears_up=True)",
        ),
    ),
    bug(
        "a capture that may have been done is called busy",
        "quota/test_hold_expiry.py::test_a_capture_of_which_nobody_knows_is_never_called_busy",
        (
            "quota/holds.py",
            "unclear = unclear or not isinstance(error, NotDoneError)",
            "unclear = False",
        ),
    ),
    bug(
        "a read takes rows and balance of two moments for one",
        "quota/test_hold_expiry.py::test_a_read_beside_a_give_back_shows_no_held_units",
        ("quota/hold_expiry.py", "if _same_holds(balance, seen) and units", "if units"),
    ),
    bug(
        "an entry that comes late is left out of the sums before it",
        "quota/test_history.py::test_an_entry_that_comes_late_counts_in_every_balance_after_it",
        ("quota/history.py", "if account.booked_at == last:", "if last:"),
    ),
    bug(
        "an entry is not noted as the last one",
        "quota/test_history.py::test_an_entry_that_comes_late_counts_in_every_balance_after_it",
        (
            "payments/settlement.py",
            'set={"updated_at": now, "booked_at": now}',
            'set={"updated_at": now}',
        ),
    ),
    bug(
        "a call of the seller's API may add units",
        "test_settings.py::test_units_that_no_call_can_cost_stop_the_container",
        (
            "settings.py",
            "units = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(UNITS_MAX)) else 0",
            "units = int(text)",
        ),
        ("settings.py", "if not 1 <= units <= UNITS_MAX:", "if not units <= UNITS_MAX:"),
    ),
    bug(
        "a transaction insists on what remains though others are at it",
        "../properties/test_contention.py::test_what_a_crowd_costs_is_bounded[keyed]",
        ("quota/spending.py", "exact_tries, balance = 0, Balance", "balance = Balance"),
    ),
    bug(
        "those who came last ask most often",
        "../properties/test_contention.py::test_sixty_four_who_spend_from_one_account_are_all_served_while_purchases_settle_on_it[hold]",
        ("deadline.py", "min(pause, fitting)", "pause"),
    ),
    bug(
        "a lost answer is called busy",
        "storage/test_dynamodb.py::test_trouble_without_end_is_an_unknown_outcome",
        ("storage/dynamodb.py", "        if unclear:\n", "        if not last:\n"),
    ),
)
