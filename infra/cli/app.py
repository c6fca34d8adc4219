"""Defines the command ``topup``: its name, its help, and all its commands."""

import typer

from infra.cli.commands import (
    account,
    connect,
    doctor,
    events,
    grant,
    import_grants,
    ledger,
    parked,
    payments,
    reconcile,
    replay,
    restore,
    switch,
    watch,
)

HELP = """Operate Topup: look at accounts and payments, find faults, and repair them.

Commands work on the local stack (`make up`), or on a stack in AWS with --stack and --profile.

Exit codes: 0 fine, 1 found a fault, 2 wrong command line, 3 AWS or Stripe could not be reached.

Example: topup doctor --stack topup-prod --profile seller
"""

app = typer.Typer(
    name="topup",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (
    connect,
    doctor,
    account,
    payments,
    grant,
    import_grants,
    events,
    parked,
    replay,
    reconcile,
    ledger,
    restore,
    switch,
    watch,
):
    part.register(app)
