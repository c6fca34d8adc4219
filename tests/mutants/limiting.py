"""Bugs in limits of API keys and in what each key used."""

from typing import Final

from .bug import bug

TESTS: Final = "keys/test_limits.py::"
USE: Final = "quota/key_use.py"
DAYS: Final = "quota/key_days.py"
CHANGES: Final = "keys/changes.py"

LIMITING: Final = (
    bug(
        "a key's limit is checked before the write",
        TESTS + "test_a_container_with_an_old_memory_takes_no_unit_above_the_limit",
        (USE, 'Must(left(key.name), ">=", units)', "exists(left(key.name))"),
        (
            "spending/taking.py",
            "seen = replace(self, key=key)",
            (
                "seen = replace(self, key=key)\n"
                "if key and key.is_limited and balance.keys[left(key.name)] < self.least:\n"
                "    from billing.quota.key_use import KeyLimitReachedError\n"
                "    raise KeyLimitReachedError(0)"
            ),
        ),
    ),
    bug(
        "a released hold is not given back to its key's limit",
        TESTS + "test_an_open_hold_counts_and_what_is_not_captured_comes_off",
        (USE, "add[left(name)] = units", "add = dict(add)"),
    ),
    bug(
        "an expired hold keeps its limit",
        TESTS + "test_an_expired_hold_comes_off_at_the_next_read_and_debit",
        (USE, 'units[name_of(key_id)] += row["units"]', "units[name_of(key_id)] += 0"),
    ),
    bug(
        "a key without a limit is used up some day",
        TESTS + "test_a_key_without_a_limit_is_never_refused_below_the_accounts_units",
        (DAYS, 'bookmark.per or "day"', 'bookmark.per or "total"'),
    ),
    bug(
        "a new day does not give a daily limit back",
        TESTS + "test_a_day_that_begins_gives_a_daily_limit_back",
        (DAYS, "back |= _gives_back(bookmark, balance, name, today)", "back = dict(back)"),
    ),
    bug(
        "a month that begins is taken for a day",
        TESTS + "test_a_day_that_begins_gives_a_daily_limit_back",
        ("quota/key_windows.py", 'DAY_CHARS if per == "day" else MONTH_CHARS', "DAY_CHARS"),
    ),
    bug(
        "a revoked key's use is dropped from the sum",
        TESTS + "test_a_revoked_key_spends_nothing_and_its_use_stays",
        (
            "quota/key_totals.py",
            'Write("keys", ..., **...)',
            'Write("keys", ..., set={"key_id": key_id}, add={"used": 0 * units})',
        ),
    ),
    bug(
        "a revoked key's use is in no ledger entry",
        TESTS + "test_a_days_entry_shows_the_use_of_each_key",
        (
            "quota/key_totals.py",
            "revoked[name] = Bookmark(key_id, more=more)",
            "revoked = dict(revoked)",
        ),
    ),
    bug(
        "a revoked key without a limit spends on",
        TESTS + "test_a_revoked_key_spends_nothing_and_its_use_stays",
        (
            USE,
            "return Movement({**add, left(key.name): -units}, (is_live_and_enough,))",
            (
                "must = (is_live_and_enough,) if key.is_limited else ()\n"
                "return Movement({**add, left(key.name): -units}, must)"
            ),
        ),
    ),
    bug(
        "the start of a key's id is enough",
        TESTS + "test_a_key_id_with_one_other_digit_is_another_key",
        (USE, "sha256(key_id.encode())", "sha256(key_id[:-1].encode())"),
    ),
    bug(
        "an open hold is forgotten when its key gets a limit",
        TESTS + "test_a_hold_of_a_key_without_a_limit_counts_when_it_gets_one",
        (
            CHANGES,
            "new.units + bookmark.base(new.per) - held",
            "new.units + bookmark.base(new.per)",
        ),
    ),
    bug(
        "a limit of another window counts the use of the old one",
        TESTS + "test_a_limit_of_another_window_counts_that_windows_use",
        (
            CHANGES,
            "new.units - old.units + bookmark.base(new.per) - bookmark.base(old.per)",
            "new.units - old.units",
        ),
    ),
    bug(
        "a hold that ends while its key gets a limit is counted for ever",
        TESTS + "test_a_hold_that_ends_while_its_key_gets_a_limit_is_not_counted",
        (CHANGES, "(*account.must, *_no_hold_changed(seen.balance))", "account.must"),
    ),
    bug(
        "a hold of what there is takes no more than it must",
        TESTS + "test_at_least_takes_what_remains_and_what_the_limit_leaves",
        ("spending/taking.py", "max(self.at_least, most)", "self.at_least"),
    ),
    bug(
        "a path costs what it does as it was sent",
        "keys/test_calls.py::test_a_call_costs_the_most_of_what_its_path_may_mean",
        ("keys/calls.py", "path = unquote(path)", "path = path + ''"),
    ),
    bug(
        "a call costs the least of what its path may mean",
        "keys/test_calls.py::test_a_call_costs_the_most_of_what_its_path_may_mean",
        (
            "keys/calls.py",
            "max(...)",
            "min(otherwise if units is None else units for units in found)",
        ),
    ),
    bug(
        "the stage is cut off on the seller's own domain",
        "keys/test_calls.py::test_a_stage_is_cut_off_except_on_the_sellers_own_domain",
        ("keys/calls.py", '"version" in event and EXECUTE_API in domain', '"version" in event'),
    ),
    bug(
        "what a call costs is that of any row",
        "keys/test_costs.py::test_the_most_exact_row_counts",
        ("keys/costs.py", "sorted(routes, key=lambda route: route.rank)", "routes"),
    ),
)
