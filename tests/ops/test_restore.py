"""``topup restore`` and ``topup switch`` on the stand: its AWS restores, checks the functions'
rights, and updates the stack.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from support.stand import Stand

from infra.cli.checks.findings import Patient
from infra.cli.commands.doctor import CHECKS, examine
from infra.cli.find_target import find_target
from infra.cli.stripe.account import AccountAtStripe
from infra.cli.target import TargetStack
from infra.local import deploy

Topup = Callable[..., tuple[int, Any]]
ATTEMPTS_MAX: Final = 20
"""The stand's tables can be restored to one second alone, the current one, and it may end between
two questions."""


@pytest.fixture
def restorable(topup: Topup, stand: Stand) -> Iterator[TargetStack]:
    """The stand with point-in-time recovery, which its CloudFormation drops.

    In the end everything is as it was before.
    """
    found, client = find_target("", "", ""), stand.boto("dynamodb")
    before = set(client.list_tables()["TableNames"])

    def recover(*, is_on: bool) -> None:
        for name in found.tables().values():
            client.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": is_on},
            )

    recover(is_on=True)
    yield found
    code, said = topup("switch", "--to", "original", "--yes")
    assert code == 0, said
    recover(is_on=False)
    for name in set(client.list_tables()["TableNames"]) - before:
        client.delete_table(TableName=name)


def _restored(topup: Topup) -> dict[str, Any]:
    for _ in range(ATTEMPTS_MAX):
        code, said = topup("restore", "--at", "latest", "--yes")
        if code == 0:
            found: dict[str, Any] = said
            return found
        assert "not all tables can be restored" in said["error"], said
    raise AssertionError("the second always ended")


def _sold_and_spent(stand: Stand) -> None:
    """Purchases and use of the time that the restore loses."""
    stand.purchase("frida", "pro")
    stand.purchase("gustav")
    spent = stand.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": "frida", "units": 50},
    )
    assert spent.status_code == 200, spent.text


def _the_doctor_looks_at_the_tables_in_use(stand: Stand, suffix: str) -> None:
    """What they lack is wrong, whatever the stack's own tables have."""
    quotas = stand.resources()["QuotasTable"] + suffix

    def wrong() -> list[str]:
        found = find_target("", "", "")
        patient = Patient(
            found, found.books(), AccountAtStripe(found.stripe_key, found.settings.stripe_api_base)
        )
        return [
            row.what
            for row in examine(patient, "tables", CHECKS["tables"])
            if row.level in ("wrong", "unknown")
        ]

    assert wrong() == []
    for is_on in (False, True):
        expiry = {"Enabled": is_on, "AttributeName": "ttl"}
        stand.boto("dynamodb").update_time_to_live(TableName=quotas, TimeToLiveSpecification=expiry)
        assert any("time to live" in what for what in wrong()) is not is_on


def test_restore_switch_reconcile_verify_and_back(
    topup: Topup, stand: Stand, restorable: TargetStack
) -> None:
    """What was sold afterwards is credited once, nothing is doubled, and the functions may use the
    restored tables and no others.
    """
    stand.purchase("frida")
    made = [
        stand.call("POST", "/keys", sub="frida", body={"name": name}).json()
        for name in ("kept", "revoked")
    ]
    said = _restored(topup)
    at, names = said["at"], {row["to"] for row in said["tables"]}
    assert names == {f"{name}{said['suffix']}" for name in restorable.tables().values()}
    _sold_and_spent(stand)
    assert stand.call("DELETE", f"/keys/{made[1]['key_id']}", sub="frida").status_code == 204

    code, planned = topup("switch", "--to", at, "--dry-run")
    assert (code, planned["status"]) == (0, "would be switched")
    assert [row["key_id"] for row in planned["revived_keys"]] == [made[1]["key_id"]]
    code, switched = topup("switch", "--to", at, "--revoke-again", "--yes")
    assert (code, switched["status"]) == (0, "switched"), switched
    assert set(find_target("", "", "").settings.tables.values()) == names
    assert stand.quota("frida")["total"] == 100
    _the_doctor_looks_at_the_tables_in_use(stand, said["suffix"])
    assert [row["key_id"] for row in stand.call("GET", "/keys", sub="frida").json()["keys"]] == [
        made[0]["key_id"]
    ]

    for _ in range(2):
        code, report = topup("reconcile", "--since", "2d", "--repair", "--yes")
        assert code == 0, report
        code, report = topup("ledger", "verify", "--repair", "--yes")
        assert (code, report["difference_count"]) == (0, 0), report
    frida, gustav = stand.quota("frida"), stand.quota("gustav")
    assert (frida["total"], frida["used"], frida["remaining"]) == (1100, 0, 1100)
    assert (gustav["total"], gustav["remaining"]) == (100, 100)
    stand.purchase("gustav")
    assert stand.quota("gustav")["total"] == 200
    assert topup("switch", "--to", at, "--yes")[1]["status"] == "already"
    deploy.update(
        stand.paths(), stand.facts["stripe_api_base"]
    )  # as `sam deploy` by hand: it says nothing of tables
    assert set(find_target("", "", "").settings.tables.values()) == names

    code, back = topup("switch", "--to", "original", "--yes")
    assert (code, back["status"]) == (0, "switched"), back
    frida = stand.quota("frida")
    assert (frida["total"], frida["used"], frida["remaining"]) == (1100, 50, 1050)
    code, report = topup("reconcile", "--since", "2d", "--repair", "--yes")
    assert code == 0, report
    assert stand.quota("gustav")["total"] == 200


def test_nothing_is_made_where_recovery_is_off_or_the_time_is_to_come(
    topup: Topup, stand: Stand
) -> None:
    before = stand.boto("dynamodb").list_tables()["TableNames"]
    assert topup("restore", "--at", "2999-01-01T00:00:00Z", "--yes")[0] == 2
    assert topup("restore", "--at", "2020-01-01T00:00:00Z", "--yes")[0] == 1
    assert stand.boto("dynamodb").list_tables()["TableNames"] == before


@pytest.mark.parametrize("to", ["latest", "2h ago", "2999-01-01T00:00:00Z"])
def test_a_switch_names_a_restore_exactly(topup: Topup, to: str) -> None:
    """What means another second every time names none."""
    assert topup("switch", "--to", to, "--yes")[0] == 2


def test_nothing_is_switched_to_a_restore_that_is_not_there(topup: Topup, stand: Stand) -> None:
    """The functions go on as they were."""
    code, said = topup("switch", "--to", "2026-01-02T03:04:05Z", "--yes")
    assert (code, "there is no such table" in said["error"]) == (1, True), said
    assert stand.call("GET", "/quota", sub="hanna").status_code == 200
