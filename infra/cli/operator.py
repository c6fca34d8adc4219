"""Defines Operator, through which a command reaches its stack, Stripe and the terminal."""

from functools import cached_property

from billing.books import Books
from billing.stripe_api.client import Gateway

from infra.cli.find_target import find_target
from infra.cli.output import Output
from infra.cli.target import TargetStack


class Operator:
    """Gives a command its target stack, clients of its tables and of Stripe, and the output."""

    def __init__(self, *, as_json: bool, stack: str, profile: str, region: str) -> None:
        """Read nothing yet: stack, books and Stripe account are found at their first use."""
        self.output = Output(as_json=as_json)
        self._names = (stack, profile, region)

    @cached_property
    def target(self) -> TargetStack:
        """Return the stack that the command works on, in AWS or local.

        It is looked up at the first use, by the options --stack, --profile and --region. Raises
        OperatorError if there is no such stack.
        """
        return find_target(*self._names)

    @cached_property
    def books(self) -> Books:
        """Return the client of the stack's tables.

        All its calls share one deadline of a few seconds. A command with many calls restarts it for
        each.
        """
        return self.target.books()

    @cached_property
    def gateway(self) -> Gateway:
        """Return the client of the stack's Stripe account."""
        return self.target.gateway(self.books)
