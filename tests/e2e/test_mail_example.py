"""The example that mails customers, deployed beside Topup, from a low balance to the mail."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from repo.declared import Loader
from support.stand import Stand

from infra.build.artifact import RUNTIME
from infra.local import deploy
from infra.local.paths import ROOT

FOLDER: Final = ROOT / "infra" / "examples" / "mail"
STACK: Final = "topup-mail"
SENDER: Final = "no-reply@example.com"
SECONDS_MAX: Final = 90


@pytest.fixture(scope="module")
def pool(stand: Stand) -> str:
    """A Cognito pool of the seller's."""
    made: str = stand.boto("cognito-idp").create_user_pool(PoolName="mailed")["UserPool"]["Id"]
    return made


@pytest.fixture(scope="module")
def mailing(stand: Stand, pool: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Topup with ``NotifyBus``, and the example's stack beside it; both as before afterwards."""
    paths = stand.paths()
    deploy.update(paths, paths.stripe_url, notify_bus="default")
    stand.boto("ses").verify_email_identity(EmailAddress=SENDER)
    _deploy(stand, pool, tmp_path_factory.mktemp("mail"))
    try:
        yield
    finally:
        stand.boto("cloudformation").delete_stack(StackName=STACK)
        deploy.update(paths, paths.stripe_url)


def _deploy(stand: Stand, pool: str, folder: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": stand.facts["aws_region"],
        "AWS_ENDPOINT_URL": stand.facts["aws_endpoint_url"],
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
    }
    sam = ROOT / ".local" / "venvs" / "sam" / "bin" / "sam"
    values = {"UserPoolId": pool, "Sender": SENDER, "BuyUrl": stand.api_url, "Runtime": RUNTIME}
    command = [
        *(str(sam), "deploy", "--template-file", str(FOLDER / "template.yaml")),
        *("--stack-name", STACK, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-progressbar", "--parameter-overrides"),
        *(f"{name}={value}" for name, value in values.items()),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _customer(stand: Stand, pool: str) -> tuple[str, str]:
    """A customer of the pool: the ``sub`` and the address."""
    address = f"{time.monotonic_ns()}@example.com"
    attributes = [
        {"Name": "email", "Value": address},
        {"Name": "email_verified", "Value": "true"},
    ]
    made = stand.boto("cognito-idp").admin_create_user(
        UserPoolId=pool, Username=address, UserAttributes=attributes, MessageAction="SUPPRESS"
    )
    names = {row["Name"]: row["Value"] for row in made["User"]["Attributes"]}
    return names["sub"], address


def _until(find: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS_MAX
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)  # the mail is sent by other processes
    return found


def test_the_function_may_send_from_one_address_and_find_one_pools_users() -> None:
    """The whole of its rights. The local stack's IAM has no ``ses:FromAddress``, so read here."""
    (policy,) = yaml.load((FOLDER / "template.yaml").read_text(), Loader=Loader)["Resources"][
        "MailFunction"
    ]["Properties"]["Policies"]
    find, send = policy["Statement"]
    assert (find["Action"], send["Action"]) == ("cognito-idp:ListUsers", "ses:SendEmail")
    assert find["Resource"]["Sub"].endswith(":userpool/${UserPoolId}")
    assert send["Condition"] == {"StringEqualsIfExists": {"ses:FromAddress": {"Ref": "Sender"}}}


def _sent(stand: Stand, address: str) -> list[dict[str, Any]]:
    """Mails to this address."""
    url = f"{stand.facts['aws_endpoint_url']}/_ministack/ses/messages"
    accounts = stand.http.get(url).json()["messages"].values()
    return [row for rows in accounts for row in rows if address in json.dumps(row)]


@pytest.mark.usefixtures("mailing")
def test_a_customer_whose_quota_falls_below_the_threshold_gets_a_mail(
    stand: Stand, pool: str
) -> None:
    """From a refund that takes units back, by the bus, to the mail."""
    customer, address = _customer(stand, pool)
    bought = stand.purchase(customer)
    assert stand.call("PUT", "/quota/alert", sub=customer, body={"low_at": 50}).status_code == 200
    session = stand.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    intent = str(session.payment_intent)
    stand.stripe.v1.refunds.create({"payment_intent": intent, "amount": 699})

    (mail,) = _until(lambda: _sent(stand, address))
    assert "You have 31 API calls left" in json.dumps(mail), mail
    assert stand.quota(customer)["remaining"] == 31


@pytest.mark.parametrize(
    ("becomes", "text"),
    [
        ("insufficient_funds", "We try the card again within the next hours."),
        ("lost_card", "No card is charged until you agree again."),
        ("authentication_required", "Your bank wants you to approve"),
    ],
)
@pytest.mark.usefixtures("mailing")
def test_a_customer_whose_card_does_not_pay_gets_one_mail(
    stand: Stand, pool: str, becomes: str, text: str
) -> None:
    """From an agreement below its threshold, by the charge and the bus, to the mail."""
    customer, address = _customer(stand, pool)
    body: dict[str, Any] = {"plan": "starter", "remember_card": True}
    bought = stand.call("POST", "/payments/checkout", sub=customer, body=body).json()
    stand.pay(bought["session_id"])
    session = stand.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    cards = stand.stripe.v1.customers.payment_methods.list(str(session.customer))
    stand.control(f"payment_methods/{cards.data[0].id}/behave", next=[becomes])
    terms = {"plan": "starter", "when_below": 150, "max_per_month": 1, "agreed": True}
    said = stand.call("PUT", "/quota/auto-top-up", sub=customer, body=terms)
    assert said.status_code == 200, said.text
    (mail,) = _until(lambda: _sent(stand, address))
    assert text in json.dumps(mail), mail
