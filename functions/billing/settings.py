"""Reads and checks the settings of functions that work on the books, once a container.

A missing name stops the container and says which. The page's own settings are read where they are
used: functions/public/. What Lambda itself sets is read by telemetry, tracing and wiring.
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

    Each comes from the environment variable of its name in capitals, ``tables`` from
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
    notify_url: str
    notify_bus: str
    notify_secrets_secret: str
    low_at_units: int

    @property
    def telling(self) -> "Telling":
        """Whether events go out, and where an account is low by default."""
        is_on = bool(self.notify_url or self.notify_bus)
        return Telling(is_on, self.low_at_units)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Raise SettingsError naming every variable that is missing, blank or of the wrong form."""
        read = _Reader(environment)
        settings = cls(
            stage=read.text("STAGE"),
            stack_name=read.text("STACK_NAME"),
            livemode=read.flag("LIVEMODE"),
            tables={
                table: read.text(name) for table, name in TABLE_VARIABLES.items()
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
            notify_url=environment.get("NOTIFY_URL", "").strip(),
            notify_bus=environment.get("NOTIFY_BUS", "").strip(),
            notify_secrets_secret=environment.get("NOTIFY_SECRETS_SECRET", ""),
            low_at_units=read.units("LOW_AT_UNITS", 0, least=0),
        )
        read.stop_if_wrong()
        return settings


@dataclass(frozen=True, slots=True)
class Telling:
    """Whether effects tell events (``NotifyUrl`` or ``NotifyBus`` is set).

    ``low_at``: where ``quota.low`` begins for customers without a threshold of their own, 0 for
    never.
    """

    is_on: bool = False
    low_at: int = 0


class Deployment(Protocol):
    """One set of books among all those that share a Stripe account.

    Reading it may raise what the store raises.
    """

    def id(self) -> str:
        """Return the id for new metadata. Make it first where there is none."""

    def known(self) -> str:
        """Return the id, or "" where none has been made. Never writes."""

    def wrote(self, deployment: str) -> bool:
        """Whether metadata with this id is ours. Never writes."""

    def keep(self) -> None:
        """Write the id back where a restore has lost it."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What makes an event ours: the mode, and the deployment's id in the metadata that we wrote."""

    livemode: bool
    deployment: Deployment


class _Reader:
    """Collects every fault, so that an operator fixes them in one go."""

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
        """Return one of the allowed values; ``otherwise`` beside a fault."""
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
        """Return a whole number up to UNITS_MAX. Only functions that need it have it."""
        text = str(self._environment.get(name, default)).strip()
        is_number = (
            text.isascii() and text.isdigit() and len(text) <= len(str(UNITS_MAX))
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
