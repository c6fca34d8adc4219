"""Checks that events reach the seller, by sending a ``ping``."""

import time
from collections.abc import Iterator
from typing import Final

from billing.clock import epoch
from billing.notices.rows import PING, PING_ACCOUNT, new_row
from billing.notices.signing import secrets_in

from infra.cli.checks.findings import Finding, Patient

WAIT_SECONDS: Final = 20
"""The longest wait for the result. The table's stream starts a delivery within a second or two, and
the delivery takes at most five.
"""
CHECK: Final = "events out"
TTL_SECONDS: Final = 86_400


def events(patient: Patient) -> Iterator[Finding]:
    """Check that events to the seller are delivered: send a ``ping``, and yield the findings."""
    settings = patient.target.settings
    if not settings.telling.is_on:
        yield Finding(CHECK, "ok", "off: neither NotifyUrl nor NotifyBus is set")
        return
    if settings.notify_url:
        try:
            known = secrets_in(patient.target.secret(settings.notify_secrets_secret))
        except ValueError as error:
            yield Finding(CHECK, "wrong", str(error), 'store {"secrets": ["whsec_..."]} in it')
            return
        yield Finding(CHECK, "ok", f"signed with {len(known)} secret(s)")
    yield _ping(patient)


def _ping(patient: Patient) -> Finding:
    """Write a ``ping`` event, wait for its first delivery, and return the finding."""
    books = patient.books
    now = books.clock()
    row = new_row(PING_ACCOUNT, 0, PING, {}, now)
    row = row._replace(set={**row.set, "ttl": epoch(now) + TTL_SECONDS})
    books.store.commit(row)
    name = row.set["id"]
    repair = f"`topup events show {name}` has the receiver's answer"
    for _ in range(WAIT_SECONDS * 2):
        time.sleep(0.5)  # another process delivers it
        books.store.deadline.begin()
        item = books.store.get("notices", row.key) or {}
        if item.get("state") == "delivered":
            return Finding(CHECK, "ok", f"{name} was delivered")
        if error := item.get("last_error"):
            return Finding(CHECK, "wrong", f"{name} was not taken: {error}", repair)
    what = f"{name} was not tried in {WAIT_SECONDS} s"
    return Finding(CHECK, "wrong", what, "look at the log of NotifyFunction")
