"""Bugs in spending: debits, holds, upkeep and keys."""

from typing import Final

from .bug import bug

SPENDING: Final = (
    bug(
        "a debit is taken without looking at what remains",
        "test_spending.py::test_more_than_remains_is_not_taken",
        ("spending.py", '            Must("remaining", ">=", units),\n', ""),
    ),
    bug(
        "a keyed debit does not keep its answer",
        "test_spending.py::test_a_keyed_debit_is_taken_once_and_its_answer_kept",
        (
            "quota.py",
            'commit(insisting(take(user_id, units, now, "used"), exact), kept)',
            'commit(insisting(take(user_id, units, now, "used"), exact))',
        ),
    ),
    bug(
        "a keyed debit keeps its answer in a second transaction and overwrites the first",
        "test_spending.py::test_a_keyed_debit_is_taken_once_and_its_answer_kept",
        ("quota.py", 'kept = creates("quotas", (row, "debit"), {', 'kept = Write("quotas", (row, "debit"), set={'),
    ),
    bug(
        "a key with another body replays the first answer",
        "test_spending.py::test_a_key_with_another_body_is_a_conflict",
        ("quota.py", 'if used.item["body"] != body:', 'if not used.item["body"]:'),
    ),
    bug(
        "a key's body is the units alone, whoever's they are",
        "test_spending.py::test_a_key_with_another_body_is_a_conflict",
        ("quota.py", "digest(user_id, str(units))", "digest(str(units))"),
    ),
    bug(
        "two callers share their keys",
        "test_spending.py::test_two_callers_keys_are_their_own",
        ("quota.py", "digest(scope, key)", "digest(key)"),
    ),
    bug(
        "more is captured than was held",
        "test_spending.py::test_no_more_is_captured_than_was_held",
        ("holds.py", 'if units > row["units"]:', 'if units > row["units"] + balance.remaining:'),
    ),
    bug(
        "what was not captured does not come back",
        "test_spending.py::test_what_was_not_captured_comes_back",
        ("holds.py", 'come_in(balance, row["units"] - units)', "come_in(balance, 0)"),
    ),
    bug(
        "a hold is released without looking whether it is still open",
        "test_spending.py::test_two_releases_at_the_same_time_give_back_once",
        ("upkeep.py", 'delete=True, must=(exists("user_id"), equals("units", row["units"])))', "delete=True)"),
        (
            "upkeep.py",
            'creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed)',
            'Write("quotas", (user_id, item.replace("hold#", "closed#", 1)), set=closed)',
        ),
    ),
    bug(
        "a capture after the release is answered as done",
        "test_spending.py::test_a_released_hold_is_not_captured",
        ("holds.py", 'if closed["state"] != state or closed["captured"] != units:', 'if closed["state"] == "expired":'),
    ),
    bug(
        "a hold is captured after its time",
        "test_spending.py::test_a_hold_past_its_time_is_not_captured",
        ("holds.py", 'if row["expires_at"] <= epoch(now):', 'if row["expires_at"] <= 0:'),
    ),
    bug(
        "a hold past its time is not given back",
        "test_spending.py::test_a_hold_past_its_time_counts_as_given_back_at_the_next_read",
        ("upkeep.py", "return 0 < balance.holds_due <= now_epoch", "return False"),
    ),
    bug(
        "a hold past its time goes, and its units with it",
        "test_spending.py::test_a_hold_past_its_time_can_be_spent_at_once",
        ("upkeep.py", 'add={"held": -units, **movement.add}', 'add={"held": -units}'),
    ),
    bug(
        "a hold that is due before the others is not noted",
        "test_spending.py::test_a_hold_past_its_time_counts_as_given_back_at_the_next_read",
        ("holds.py", "expires_at < balance.holds_due", "expires_at > balance.holds_due"),
    ),
    bug(
        "the next hold's time is forgotten when one is given back",
        "test_spending.py::test_what_expires_later_is_given_back_later",
        ("upkeep.py", "next_due = min(still_open, default=0)", "next_due = 0"),
    ),
    bug(
        "a day's use is itemised without its entry",
        "test_spending.py::test_a_days_use_becomes_one_entry",
        ("upkeep.py", "*([entry.write()] if units else [])", "*[]"),
    ),
    bug(
        "a revoked key goes on working",
        "test_keys.py::test_a_revoked_key_works_nowhere",
        ("keys.py", '            Write("keys", (f"key#{number}", "key"), delete=True),\n', ""),
    ),
    bug(
        "anybody can revoke a key",
        "test_keys.py::test_nobody_revokes_another_users_key",
        ("keys.py", 'delete=True, must=(exists("owner"),)', "delete=True"),
    ),
    bug(
        "a key's number opens without its secret",
        "test_keys.py::test_a_key_opens_its_owners_account_and_no_other",
        ("keys.py", "if row and matches else None", "if row else None"),
    ),
    bug(
        "a key's secret is stored in clear",
        "test_keys.py::test_the_secret_is_nowhere_in_the_table",
        ("keys.py", "return sha256(secret.encode()).hexdigest()", "return secret"),
    ),
)
