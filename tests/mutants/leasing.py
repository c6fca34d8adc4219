"""Bugs in the client: units spent twice, spent too late, or served unpaid."""

from typing import Final

from .bug import Bug, Edit


def _bug(name: str, killer: str, file: str, old: str, new: str) -> Bug:
    return Bug(
        name,
        (f"tests/client/{killer}",),
        (Edit(f"../../client/src/topup_client/{file}", old, new),),
    )


LEASING: Final = (
    _bug(
        "a lease spends from a hold until it expires, and has no time to capture it",
        "test_purse.py::test_nothing_is_spent_from_a_hold_near_its_end",
        "purse.py",
        " - ROUNDING_SECONDS - self.terms.margin_seconds",
        "",
    ),
    _bug(
        "a lease never looks whether its hold is past its time",
        "test_purse.py::test_nothing_is_spent_from_a_hold_near_its_end",
        "purse.py",
        "if now >= self._until:",
        "if now >= inf:",
    ),
    _bug(
        "a forked child spends its parent's units",
        "test_purse.py::test_a_forked_child_has_nothing_of_it",
        "purse.py",
        "        self.left, self.tally = 0, Tally()\n        self._usable.clear()\n",
        "        self.tally = Tally()\n",
    ),
    _bug(
        "a forked child captures its parent's holds",
        "test_purse.py::test_a_forked_child_has_nothing_of_it",
        "purse.py",
        "        self._to_close.clear()\n",
        "",
    ),
    _bug(
        "units whose hold had expired are counted as captured",
        "test_purse.py::test_units_whose_hold_had_gone_are_counted_as_lost",
        "purse.py",
        "self.tally.lost += tranche.used",
        "self.tally.captured += tranche.used",
    ),
    _bug(
        "a capture whose answer was lost is taken for done",
        "test_lease.py::test_a_capture_whose_answer_is_lost_is_asked_for_again",
        "purse.py",
        "if error is None:",
        "if error is None or isinstance(error, OutcomeUnknown):",
    ),
    _bug(
        "a lease captures all that it held, used or not",
        "test_lease.py::test_debits_are_spent_in_memory_and_captured_at_the_end",
        "lease.py",
        "self._meter.capture(tranche.hold_id, tranche.used)",
        "self._meter.capture(tranche.hold_id, tranche.units)",
    ),
    _bug(
        "a lease asks at every call of a customer without units",
        "test_lease.py::test_a_customer_without_units_costs_one_call_a_second",
        "purse.py",
        "self._remembered_until = now + self.terms.refusal_seconds",
        "self._remembered_until = now",
    ),
    _bug(
        "a plain debit whose answer was lost is repeated",
        "test_meter.py::test_a_plain_debit_of_unknown_outcome_is_not_repeated",
        "wire.py",
        "(self.repeatable and isinstance(error, OutcomeUnknown))",
        "isinstance(error, OutcomeUnknown)",
    ),
    _bug(
        "a hold whose answer was lost is repeated",
        "test_meter.py::test_a_hold_of_unknown_outcome_is_not_repeated",
        "wire.py",
        '"expires_in_seconds": expires_in_seconds})',
        '"expires_in_seconds": expires_in_seconds}, repeatable=True)',
    ),
    _bug(
        "a repeated debit loses its key",
        "test_meter.py::test_a_debit_with_a_key_is_repeated_with_the_same_key",
        "wire.py",
        '{"Idempotency-Key": idempotency_key}',
        '{"X-Key": idempotency_key}',
    ),
    _bug(
        "the middleware serves what it could not debit",
        "test_asgi.py::test_a_call_whose_payment_is_unknown_is_not_served",
        "asgi.py",
        'return _problem(503, "quota_unavailable", "the quota cannot be debited now; try again in a moment")',
        "return None",
    ),
)
