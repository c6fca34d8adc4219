import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED
from billing.stripe_api.signatures import usable_secrets
from support.stand import Stand

from infra.cli.commands.connect import chosen_key
from infra.cli.errors import USAGE, OperatorError
from infra.cli.find_target import find_target
from infra.cli.stripe.addresses import addresses
from infra.cli.stripe.endpoint_plan import plan
from infra.cli.stripe.endpoint_settings import MARK, Wanted
from infra.cli.stripe.stored_secrets import SECRETS_MAX, Kept
from infra.cli.target import TargetStack
from infra.local.paths import free_port

Topup = Callable[..., tuple[int, Any]]
OWN = "https://api.example.test/api/v1/payments/webhook"
WANTED = Wanted("topup-dev", OWN)
SECRET = "whsec_" + "made" * 8
KEPT = Kept().with_first("we_1", SECRET)


def _row(**members: Any) -> dict[str, Any]:
    """An endpoint at Stripe that fits."""
    return {
        "id": "we_1",
        "status": "enabled",
        "created": 1,
        "api_version": API_VERSION,
        **WANTED.of_kept(OWN),
        **members,
    }


def test_an_endpoint_that_fits_is_left_as_it_is() -> None:
    stranger = _row(id="we_2", url="https://other.example.test/", metadata={}, enabled_events=["*"])
    assert plan([stranger, _row()], {OWN}, WANTED, KEPT).is_empty


@pytest.mark.parametrize(
    ("members", "changed"),
    [
        ({"enabled_events": ["*"]}, "enabled_events"),
        ({"enabled_events": SUBSCRIBED[1:]}, "enabled_events"),
        (
            {"enabled_events": [kind for kind in SUBSCRIBED if kind != "refund.created"]},
            "enabled_events",
        ),
        ({"enabled_events": [*SUBSCRIBED, "charge.succeeded"]}, "enabled_events"),
        ({"status": "disabled"}, "disabled"),
        ({"description": None}, "description"),
        ({"metadata": {"kept": "too"}}, "metadata"),
    ],
)
def test_what_stripe_can_change_is_changed(members: dict[str, Any], changed: str) -> None:
    found = plan([_row(**members)], {OWN}, WANTED, KEPT)
    assert (set(found.change), found.kept_id, found.make, found.replaced, found.refused) == (
        {changed},
        "we_1",
        False,
        (),
        (),
    )


@pytest.mark.parametrize("version", ["2023-10-16", None])
def test_an_endpoint_of_another_version_is_replaced(version: str | None) -> None:
    """It cannot be repaired: https://docs.stripe.com/api/webhook_endpoints/update."""
    found = plan([_row(api_version=version)], {OWN}, WANTED, KEPT)
    assert (found.make, found.replaced, found.refused) == (True, ("we_1",), ())


def test_an_endpoint_with_an_unknown_secret_is_replaced_and_disabled_immediately() -> None:
    """All that it delivers is refused.

    One whose secret an operator may have stored stays until it has delivered.
    """
    by_hand = _row(id="we_made_by_hand")
    assert plan([by_hand], {OWN}, WANTED, KEPT).refused == ("we_made_by_hand",)
    with_one_more = Kept((*KEPT.secrets, f"{SECRET}by_hand"), KEPT.endpoints)
    assert plan([by_hand], {OWN}, WANTED, with_one_more).replaced == ("we_made_by_hand",)


def test_of_two_that_fit_the_newer_one_is_kept() -> None:
    """As when a run died before it had put the old one away."""
    kept = KEPT.with_first("we_2", f"{SECRET}2")
    found = plan([_row(), _row(id="we_2", created=2)], {OWN}, WANTED, kept)
    assert (found.make, found.kept_id, found.replaced) == (False, "we_2", ("we_1",))


def test_an_endpoint_on_another_domain_is_found_by_its_mark() -> None:
    away = _row(url="https://shop.example.test/api/v1/payments/webhook")
    assert plan([away], {OWN}, WANTED, KEPT).is_empty
    assert plan([away], {OWN}, replace(WANTED, url=OWN), KEPT).change["url"] == OWN


API, URL = (
    "https://a1.execute-api.eu-west-1.amazonaws.com/api/v1/payments/webhook",
    "https://u1.lambda-url.eu-west-1.on.aws/",
)
BOTH = Wanted("topup-dev", URL, other_urls=(API,))
ALONE = Wanted("topup-dev", API)


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        (BOTH, API),
        (ALONE, URL),
        (BOTH, "https://u0.lambda-url.eu-west-1.on.aws/"),
        (BOTH, "https://u0.lambda-url.eu-west-1.on.aws"),
    ],
)
def test_an_endpoint_at_another_address_of_aws_is_moved_to_the_stacks_own(
    wanted: Wanted, present: str
) -> None:
    """The stack got a Function URL, has none any more, or another one since it publishes versions.

    The endpoint and its secret stay.
    """
    found = plan(
        [_row(**{**wanted.of_kept(present), "metadata": {MARK: API}})], {API}, wanted, KEPT
    )
    assert (found.make, found.kept_id, found.replaced, found.refused) == (False, "we_1", (), ())
    assert found.change["url"] == wanted.own_url
    assert plan([_row(**wanted.of_kept(wanted.own_url))], {API}, wanted, KEPT).is_empty


def test_an_endpoint_on_a_domain_of_ones_own_stays_there_when_the_stack_gets_another_address() -> (
    None
):
    """It is marked with the API's address, which stays."""
    away = _row(**ALONE.of_kept("https://shop.example.test/api/v1/payments/webhook"))
    assert plan([away], {API}, BOTH, KEPT).is_empty


def test_what_webhook_url_has_chosen_stays_chosen() -> None:
    """Also in later runs without it, such as the next deployment's; another choice undoes it."""
    chosen = replace(BOTH, url=API)
    assert chosen.of_new()["url"] == API
    there = _row(**chosen.of_kept(API))
    assert plan([there], {API}, BOTH, KEPT).is_empty
    assert plan([there], {API}, replace(BOTH, url=URL), KEPT).change["url"] == URL


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"WebhookUrl": OWN, "WebhookFunctionUrl": "https://abc/"}, ("https://abc/", (OWN,))),
        ({"WebhookUrl": OWN}, (OWN, ())),
        ({}, ("", ())),
    ],
)
def test_stripe_gets_the_function_url_where_the_stack_has_one(
    outputs: dict[str, str], expected: tuple[str, tuple[str, ...]]
) -> None:
    """Else the API's address; the other one is looked at too."""
    assert addresses(outputs, "") == expected
    assert addresses(outputs, "http://localhost:8080/hook") == ("http://localhost:8080/hook", ())


def test_another_stage_in_the_same_account_is_left_alone() -> None:
    """Its address and its mark are its own."""
    theirs = Wanted("topup-prod", "https://prod.example.test/api/v1/payments/webhook")
    found = plan([_row(id="we_9", **theirs.of_kept(theirs.own_url))], {OWN}, WANTED, KEPT)
    assert (found.make, found.replaced, found.refused) == (True, (), ())


def test_another_deployment_with_the_same_name_and_address_is_left_alone() -> None:
    """Two developers' stands on one test key: each answers at localhost, and each has a tunnel of
    its own.
    """
    theirs = replace(WANTED, deployment="dep_theirs")
    ours = replace(WANTED, deployment="dep_ours", url="https://my-tunnel.example.test/")
    for row in (
        _row(id="we_9", **theirs.of_kept("https://their-tunnel.example.test/")),
        _row(id="we_9", url="https://old.example.test/"),
    ):
        found = plan([row], {OWN}, ours, KEPT)
        assert (found.make, found.kept_id, found.replaced, found.refused) == (True, "", (), ())


def test_a_stack_that_was_taken_back_finds_its_endpoint_and_leads_it_to_the_new_address() -> None:
    """Its API has another address than before.

    Where the secret is kept, so is the endpoint; where it is not, a new one is made.
    """
    before = replace(WANTED, deployment="dep_ours")
    now = replace(before, own_url="https://new.example.test/api/v1/payments/webhook")
    row = _row(**before.of_kept(OWN))
    found = plan([row], {now.own_url}, now, KEPT)
    assert (found.make, found.kept_id, found.change["url"]) == (False, "we_1", now.own_url)
    assert plan([row], {now.own_url}, now, Kept()).refused == ("we_1",)


def test_an_endpoint_from_before_ids_learns_its_deployment() -> None:
    """It is known by its mark and its secret together."""
    away = _row(url="https://shop.example.test/api/v1/payments/webhook")
    found = plan([away], {OWN}, replace(WANTED, deployment="dep_ours"), KEPT)
    assert found.change == {"metadata": {**away["metadata"], "topup_deployment": "dep_ours"}}


def test_a_roll_makes_a_new_one_though_the_old_fits() -> None:
    found = plan([_row()], {OWN}, WANTED, KEPT, roll=True)
    assert (found.make, found.replaced) == (True, ("we_1",))


def test_the_new_secret_is_the_first_and_old_ones_stay_for_a_while() -> None:
    """What the functions read is the same list as before."""
    kept = KEPT
    for number in range(SECRETS_MAX):
        kept = kept.with_first(f"we_new_{number}", f"{SECRET}{number}")
    assert usable_secrets(kept.text())[0] == f"{SECRET}{SECRETS_MAX - 1}"
    assert len(kept.secrets) == SECRETS_MAX
    assert Kept.read(kept.text()) == kept
    assert not kept.knows("we_1"), "its secret is gone"
    assert SECRET not in json.dumps(dict(kept.endpoints))


@pytest.mark.parametrize("stored", ["aB3$random", "{}", '{"secrets": [" "]}', '"text"'])
def test_a_secret_that_was_never_filled_holds_none(stored: str) -> None:
    assert Kept.read(stored) == Kept()


def _key(mode: str) -> str:
    return "_".join(("sk", mode, "made" * 4))


@pytest.fixture
def here(topup: Topup) -> TargetStack:
    """The stand, as a command sees it."""
    del topup
    return find_target("", "", "")


def test_a_key_of_the_other_mode_is_refused(here: TargetStack) -> None:
    """Before anything is stored."""
    with pytest.raises(OperatorError, match="a live key") as caught:
        chosen_key("", _key("live"), here, input, new_key=False)
    assert caught.value.code == USAGE
    live = replace(here, settings=replace(here.settings, livemode=True))
    with pytest.raises(OperatorError, match="a test key"):
        chosen_key("", _key("test"), live, input, new_key=False)


@pytest.mark.parametrize("typed", ["", "pk_test_made", "whsec_made", "sk_test_"])
def test_what_is_no_secret_key_is_refused(here: TargetStack, typed: str) -> None:
    """A publishable key, a signing secret, nothing."""
    with pytest.raises(OperatorError, match="no secret key"):
        chosen_key("random", "", here, lambda _: typed, new_key=False)


def test_an_operator_is_asked_only_where_no_key_is_there(here: TargetStack) -> None:
    """Or when they want to give another."""
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return f" {_key('test')}\n"

    assert chosen_key("sk_test_stored", "", here, ask, new_key=False) == "sk_test_stored"
    assert (
        chosen_key("sk_test_stored", "sk_test_given", here, ask, new_key=False) == "sk_test_given"
    )
    assert not asked
    assert chosen_key("sk_test_stored", "", here, ask, new_key=True) == _key("test")
    assert chosen_key("as CloudFormation made it", "", here, ask, new_key=False) == _key("test")
    assert len(asked) == 2


@contextlib.contextmanager
def _as_it_was(stand: Stand) -> Iterator[None]:
    """Both secrets are put back, and Stripe's endpoints deleted."""
    manager, names = (
        stand.boto("secretsmanager"),
        [stand.resources()[name] for name in ("StripeKeySecret", "WebhookSecretsSecret")],
    )
    before = {name: manager.get_secret_value(SecretId=name)["SecretString"] for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            manager.put_secret_value(SecretId=name, SecretString=value)
        for row in _endpoints(stand):
            stand.stripe.v1.webhook_endpoints.delete(row["id"])


def _endpoints(stand: Stand) -> list[dict[str, Any]]:
    return [row.to_dict() for row in stand.stripe.v1.webhook_endpoints.list().data]


def _signing(stand: Stand) -> tuple[str, ...]:
    name = stand.resources()["WebhookSecretsSecret"]
    return usable_secrets(
        stand.boto("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    )


def test_a_stack_is_connected_once_and_what_stripe_then_signs_is_settled(
    topup: Topup, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _as_it_was(stand):
        stand.boto("secretsmanager").put_secret_value(
            SecretId=stand.resources()["StripeKeySecret"], SecretString="as CloudFormation made it"
        )
        monkeypatch.setenv("STRIPE_API_KEY", stand.facts["stripe_secret_key"])
        code, planned = topup("connect", "--dry-run")
        assert (code, planned["status"], len(planned["steps"]), _endpoints(stand)) == (
            0,
            "would_change",
            2,
            [],
        )
        old = _signing(stand)
        _, answer = topup("connect", "--yes")
        assert answer["status"] == "connected"
        accepted = [
            row["what"]
            for row in answer["findings"]
            if row["check"] == "webhook" and row["level"] == "ok"
        ]
        assert [text[:13] for text in accepted] == ["secret 1 of 2", "secret 2 of 2"], (
            "the doctor had both tried"
        )
        (made,) = _endpoints(stand)
        assert (made["api_version"], set(made["enabled_events"]), made["metadata"][MARK]) == (
            API_VERSION,
            set(SUBSCRIBED),
            stand.facts["webhook_url"],
        )
        assert _signing(stand)[1:] == old
        stand.purchase("ops-connected")
        _, again = topup("connect", "--yes")
        assert (again["status"], again["steps"], _endpoints(stand), len(_signing(stand))) == (
            "unchanged",
            [],
            [made],
            2,
        )


def test_an_endpoint_of_an_older_version_is_replaced_and_the_doctor_is_content(
    topup: Topup, stand: Stand
) -> None:
    """It is disabled, or, where other tests have left something undelivered, stays on for it:
    tests/ops/test_endpoints.py has both.
    """
    with _as_it_was(stand):
        asked: Any = {
            "url": stand.facts["webhook_url"],
            "enabled_events": ["*"],
            "api_version": "2023-10-16",
        }
        stand.control("deliveries", pause=True)
        old = stand.stripe.v1.webhook_endpoints.create(asked)
        _, answer = topup("connect", "--yes")
        stand.control("deliveries", pause=False)
        assert [step.split()[0] for step in answer["steps"]] == ["make", "disable"]
        statuses = {row["id"]: row["status"] for row in _endpoints(stand)}
        assert statuses.pop(old.id) == ("enabled" if answer["waiting"] else "disabled")
        assert list(statuses.values()) == ["enabled"]
        assert not [
            row
            for row in answer["findings"]
            if row["check"].startswith("endpoint") and row["level"] == "wrong"
        ]
        assert topup("connect", "--dry-run")[1]["steps"] == [
            step for step in answer["steps"] if answer["waiting"] and "disable" in step
        ]


def test_an_endpoint_is_not_moved_to_where_nothing_answers(topup: Topup, stand: Stand) -> None:
    """Every delivery from then on would be lost."""
    with _as_it_was(stand):
        topup("connect", "--yes")
        before = _endpoints(stand)
        away = f"http://127.0.0.1:{free_port()}/api/v1/payments/webhook"
        code, answer = topup("connect", "--yes", "--webhook-url", away)
        assert (
            code,
            "was not moved" in answer["error"],
            "cannot be reached" in answer["error"],
        ) == (1, True, True)
        assert _endpoints(stand) == before


def test_an_endpoint_is_moved_to_where_the_webhook_answers(topup: Topup, stand: Stand) -> None:
    """It is the same endpoint, with the same secret, at another of the webhook's addresses."""
    with _as_it_was(stand):
        topup("connect", "--yes")
        (before,) = _endpoints(stand)
        there = stand.facts["webhook_url"].replace("localhost", "127.0.0.1")
        _, answer = topup("connect", "--yes", "--webhook-url", there)
        (after,) = _endpoints(stand)
        assert (answer["status"], after["id"], after["url"]) == ("connected", before["id"], there)
        assert len(_signing(stand)) == 2
        stand.purchase("ops-moved")


def test_a_key_that_stripe_does_not_know_is_not_stored(
    topup: Topup, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _as_it_was(stand):
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_unknown")
        code, answer = topup("connect", "--yes")
        assert (code, "refuses the key" in answer["error"]) == (1, True)
        assert topup("doctor")[1]["findings"][0]["level"] == "ok"
        assert _endpoints(stand) == []


def test_no_secret_is_ever_printed(topup: Topup, stand: Stand) -> None:
    with _as_it_was(stand):
        _, answer = topup("connect", "--yes")
        text = json.dumps(answer)
        assert not [
            secret
            for secret in (*_signing(stand), stand.facts["stripe_secret_key"])
            if secret in text
        ]
    assert "STRIPE_API_KEY" not in os.environ
