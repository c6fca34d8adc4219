"""Reads and checks the settings of a function, once for each process.

A missing environment variable stops the process with an error that names it.
Some variables are read elsewhere: those of the customers' web page in
functions/public/, and those that Lambda sets in telemetry, tracing and wiring.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args

from billing.errors import SettingsError
from billing.money import UNITS_MAX

ReversalPolicy = Literal["debt", "write_off"]
TaxBehavior = Literal["exclusive", "inclusive"]
_Choice = TypeVar("_Choice", bound=str)
TABLE_VARIABLES: Mapping[str, str] = {
    "payments": "PAYMENTS_TABLE",
    "quotas": "QUOTAS_TABLE",
    "events": "WEBHOOK_EVENTS_TABLE",
    "ledger": "LEDGER_TABLE",
    "keys": "KEYS_TABLE",
    "notices": "NOTICES_TABLE",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds the settings that the template gives to a Lambda function.

    Each member comes from the environment variable with its name in capitals.
    Only ``tables``, the names of the DynamoDB tables, come from several
    variables, which TABLE_VARIABLES lists.
    """

    stage: str
    stack_name: str
    livemode: bool
    tables: Mapping[str, str]
    parked_queue_url: str
    stripe_key_secret: str
    webhook_secrets_secret: str
    stripe_api_base: str
    site_url: str
    reversal_policy: ReversalPolicy
    allow_promotion_codes: bool
    automatic_tax: bool
    tax_behavior: TaxBehavior
    invoice_creation: bool
    authorize_units: int
    auto_top_up: bool
    top_up_queue_url: str
    notify_url: str
    notify_bus: str
    notify_secrets_secret: str
    low_at_units: int

    @property
    def telling(self) -> "Telling":
        """Return the settings for events to the seller.

        They are whether events are sent, and the threshold of ``quota.low``
        for customers who have set none.
        """
        is_on = bool(self.notify_url or self.notify_bus)
        return Telling(is_on, self.low_at_units)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Return the settings in the environment.

        Raises SettingsError that lists every missing, blank or malformed
        variable.
        """
        read = _Reader(environment)
        settings = cls(
            stage=read.text("STAGE"),
            stack_name=read.text("STACK_NAME"),
            livemode=read.flag("LIVEMODE"),
            tables={
                table: read.text(name)
                for table, name in TABLE_VARIABLES.items()
            },
            parked_queue_url=read.text("PARKED_QUEUE_URL"),
            stripe_key_secret=read.text("STRIPE_KEY_SECRET"),
            webhook_secrets_secret=read.text("WEBHOOK_SECRETS_SECRET"),
            stripe_api_base=read.text("STRIPE_API_BASE"),
            site_url=environment.get("SITE_URL", "").strip().rstrip("/"),
            reversal_policy=read.choice(
                "REVERSAL_POLICY", get_args(ReversalPolicy), "debt"
            ),
            allow_promotion_codes=read.flag("ALLOW_PROMOTION_CODES"),
            automatic_tax=read.flag("AUTOMATIC_TAX"),
            tax_behavior=read.choice(
                "TAX_BEHAVIOR", get_args(TaxBehavior), "exclusive"
            ),
            invoice_creation=read.flag("INVOICE_CREATION"),
            authorize_units=read.units("AUTHORIZE_UNITS", 1),
            auto_top_up=environment.get("AUTO_TOP_UP", "") == "true",
            top_up_queue_url=environment.get("TOP_UP_QUEUE_URL", "").strip(),
            notify_url=environment.get("NOTIFY_URL", "").strip(),
            notify_bus=environment.get("NOTIFY_BUS", "").strip(),
            notify_secrets_secret=environment.get("NOTIFY_SECRETS_SECRET", ""),
            low_at_units=read.units("LOW_AT_UNITS", 0, least=0),
        )
        read.stop_if_wrong()
        return settings


@dataclass(frozen=True, slots=True)
class Telling:
    """Holds the settings for events to the seller.

    Events are sent (``is_on``) if ``NotifyUrl`` or ``NotifyBus`` is set.
    ``low_at`` is the number of units below which the event ``quota.low`` is
    sent, for customers who have not set their own. 0 means never.
    """

    is_on: bool = False
    low_at: int = 0


class Deployment(Protocol):
    """Gives the id that tells this deployment's Stripe objects from others'.

    Several deployments may share one Stripe account, so we write the id into
    our objects' metadata. The id is stored in our tables, and the methods may
    raise DynamoDB's errors.
    """

    def id(self) -> str:
        """Return this deployment's id, to be written into metadata at Stripe.

        If there is none, it is created and stored.
        """

    def known(self) -> str:
        """Return this deployment's id, or "" if none is stored.

        It writes nothing.
        """

    def wrote(self, deployment: str) -> bool:
        """Return whether ``deployment``, an id in metadata, is this one's id.

        If no id of this deployment is stored, none is created.
        """

    def keep(self) -> None:
        """Write this deployment's id into the tables that have lost it.

        Two tables store it, and a restore from a backup can lose it in one.
        Nothing is done if neither has it.
        """


@dataclass(frozen=True, slots=True)
class Ours:
    """Holds what is needed to tell whether an event of Stripe's is ours.

    It is our mode (live or test), and our deployment's id, which is in the
    metadata of our objects at Stripe.
    """

    livemode: bool
    deployment: Deployment


class _Reader:
    """Reads environment variables, and collects every error in them.

    So an operator can fix all of them at once.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._faults: list[str] = []

    def text(self, name: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self._faults.append(f"{name} is missing or blank")
        return value

    def choice(
        self, name: str, allowed: tuple[_Choice, ...], otherwise: _Choice
    ) -> _Choice:
        """Return the variable's value if it is allowed, else ``otherwise``.

        A missing, blank or other value is noted as an error.
        """
        value = self.text(name)
        for choice in allowed:
            if choice == value:
                return choice
        if value:
            self._faults.append(
                f"{name} is {value!r}, expected one of {', '.join(allowed)}"
            )
        return otherwise

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false"), "false") == "true"

    def units(self, name: str, default: int, least: int = 1) -> int:
        """Return the environment variable ``name`` as a whole number of units.

        It must be from ``least`` to UNITS_MAX; otherwise an error is added to
        those that are raised together at the end. A variable that is not set
        is no error, because only some of the Lambda functions have it: the
        result is then ``default``.
        """
        text = str(self._environment.get(name, default)).strip()
        is_number = (
            text.isascii()
            and text.isdigit()
            and len(text) <= len(str(UNITS_MAX))
        )
        units = int(text) if is_number else -1
        if not least <= units <= UNITS_MAX:
            expected = f"expected a whole number from {least} to {UNITS_MAX}"
            self._faults.append(f"{name} is {text[:20]!r}, {expected}")
        return units

    def stop_if_wrong(self) -> None:
        if self._faults:
            message = "; ".join(self._faults)
            raise SettingsError(
                f"{message}. The template sets these under Globals.Function.Environment."
            )
