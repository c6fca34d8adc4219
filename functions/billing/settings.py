"""Reads and checks the settings of a function, once for each process.

A missing environment variable stops the process with an error that names it.
functions/public/ reads the page's own settings. telemetry, tracing and wiring
read the variables that Lambda sets.
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
    """The settings that the template gives to a function.

    Each member comes from the environment variable with its name in capitals, and ``tables`` from
    TABLE_VARIABLES.
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
        """Return whether events are sent, and the threshold of ``quota.low``.

        The threshold is the template's, for customers without their own.
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
    """Whether events are sent to the seller, and a threshold.

    They are sent if ``NotifyUrl`` or ``NotifyBus`` is set. ``low_at`` is
    the threshold of ``quota.low`` for customers without their own. 0 means
    never.
    """

    is_on: bool = False
    low_at: int = 0


class Deployment(Protocol):
    """This deployment's id, among those that share a Stripe account.

    Its methods may raise the store's errors.
    """

    def id(self) -> str:
        """Return the id to write into new metadata.

        If there is none, it is created and stored.
        """

    def known(self) -> str:
        """Return the id, or "" if there is none. Never writes."""

    def wrote(self, deployment: str) -> bool:
        """Return whether this deployment wrote metadata with this id.

        ``deployment`` is the id in the metadata. Never writes.
        """

    def keep(self) -> None:
        """Write the id again into a table that has lost it in a restore."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What shows that an event is ours.

    It is Stripe's mode (live or test), and the deployment's id in the
    metadata.
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

        If it is not allowed, that is noted as an error.
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
        """Return the variable as a whole number of units, up to UNITS_MAX.

        If the variable is not set, it is ``default``: only functions that need
        it have it.
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
