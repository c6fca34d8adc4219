"""Bugs in the client: units spent twice, spent too late, or served unpaid."""

from typing import Final

from .bug import Bug, Edit


def _bug(name: str, killer: str, file: str, old: str, new: str) -> Bug:
    edit = Edit(f"../../client/src/topup_client/{file}", old, new)
    return Bug(name, (f"tests/client/{killer}",), (edit,))


LEASING: Final = (
    _bug(
        "a lease spends from a hold until it expires, and has no time to capture it",
        "test_purse.py::test_nothing_is_spent_from_a_hold_near_its_end",
        "terms.py",
        "self.lifetime_seconds - ROUNDING_SECONDS - self.margin_seconds",
        "self.lifetime_seconds",
    ),
    _bug(
        "a forked child captures its parent's holds",
        "test_purse.py::test_a_forked_child_has_none_of_the_parents_units",
        "purse.py",
        "self._to_close.clear()",
        "None",
    ),
    _bug(
        "a capture whose answer was lost is taken for done",
        "test_lease.py::test_a_capture_whose_answer_is_lost_is_asked_for_again",
        "purse.py",
        "if error is None:\n    self._closed(tranche)\nelif ...:\n    ...\nelse:\n    ...",
        "from topup_client.errors import OutcomeUnknown\n"
        "if error is None or isinstance(error, OutcomeUnknown):\n    self._closed(tranche)\n"
        "elif ...:\n    ...\nelse:\n    ...",
    ),
    _bug(
        "a plain debit whose answer was lost is repeated",
        "test_meter.py::test_a_plain_debit_of_unknown_outcome_is_not_repeated",
        "wire.py",
        "self.repeatable and isinstance(error, OutcomeUnknown)",
        "isinstance(error, OutcomeUnknown)",
    ),
    _bug(
        "the middleware serves what it could not debit",
        "test_asgi.py::test_a_call_whose_payment_is_unknown_is_not_served",
        "asgi.py",
        '_problem(503, "quota_unavailable", ...)',
        "None",
    ),
    _bug(
        "a lease takes more than its share of what remains",
        "test_sharing.py::"
        "test_workers_at_half_a_call_a_second_serve_the_last_unit_before_a_refusal",
        "sizing.py",
        "min(self.terms.size, GROWTH * self._asked, share)",
        "min(self.terms.size, GROWTH * self._asked)",
    ),
    _bug(
        "a lease that spends nothing keeps its units",
        "test_sharing.py::test_a_worker_that_stops_gives_its_units_to_the_others",
        "purse.py",
        "is_idle = now >= self._active_at + self.terms.idle_seconds",
        "is_idle = now == inf",
    ),
    _bug(
        "a lease spends for no key",
        "test_key_limits.py::test_debits_and_holds_name_the_key",
        "leases.py",
        "holder = (user_id, key_id)",
        "holder = (user_id, None)",
    ),
)
