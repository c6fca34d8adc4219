"""``topup connect``:

Stripe's key into the stack, one webhook endpoint at Stripe with its secret, and the doctor's word
on it.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any, Final

import httpx
import stripe
import typer
from billing.stripe_api.client import API_VERSION

from infra.cli.checks.stripe import KEY
from infra.cli.command import DryRun, Operator, Yes, command
from infra.cli.commands import doctor
from infra.cli.errors import FINE, OperatorError, unreachable, usage
from infra.cli.stripe.account import SECONDS_MAX, AccountAtStripe, KeyRefusedError
from infra.cli.stripe.endpoint_plan import Kept, Plan, Wanted, plan
from infra.cli.stripe.endpoints import Endpoints
from infra.cli.stripe.probe_delivery import delivered
from infra.cli.target import TargetStack

VARIABLE: Final = "STRIPE_API_KEY"
"""The Stripe CLI's own name for it: https://docs.stripe.com/cli/api_keys."""
RETRIES: Final = 3
"""The SDK repeats under one idempotency key: an answer that was lost, and the secret in it, come
again."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "connect")
    def connect(  # noqa: PLR0917 - the command line's own arguments
        operator: Operator,
        webhook_url: Annotated[
            str,
            typer.Option(
                "--webhook-url",
                help="Where Stripe shall deliver; by default the stack's own address.",
            ),
        ] = "",
        new_key: Annotated[
            bool, typer.Option("--new-key", help="Ask for a key though a usable one is stored.")
        ] = False,
        roll: Annotated[
            bool,
            typer.Option(
                "--roll", help="A new endpoint with a new secret, though the one there fits."
            ),
        ] = False,
        dry_run: DryRun = False,  # noqa: FBT002 - Typer's own way to declare a flag
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Connect the stack with Stripe: its key (STRIPE_API_KEY, or asked for), its webhook endpoint and signing secret; then the doctor.

        Run it after every deployment: what fits is left as it is.
        """
        target = operator.target
        stored = target.stripe_key()
        key = chosen_key(
            stored,
            os.environ.get(VARIABLE, ""),
            target,
            operator.output.ask_secret,
            new_key=new_key,
        )
        kept = Kept.read(target.secret(target.settings.webhook_secrets_secret))
        deployment = operator.books.ours.deployment
        name = deployment.known() if dry_run else deployment.id()
        wanted = Wanted(target.stack_name, target.webhook_url, webhook_url, target.other_urls, name)
        todo = plan(_endpoints(key, target), target.webhook_urls(), wanted, kept, roll=roll)
        steps = [
            *(
                [f"store the Stripe key in {target.settings.stripe_key_secret}"]
                if key != stored
                else []
            ),
            *todo.steps(),
        ]
        answer: dict[str, Any] = {"stack": target.stack_name, "steps": steps, "waiting": []}
        if dry_run or not steps:
            status = "would_change" if steps else "unchanged"
        elif operator.output.ask(
            "\n".join([f"{target.stack_name}:", *(f"- {step}" for step in steps), "Go on?"]),
            yes=yes,
        ):
            answer["waiting"] = _carry_out(target, key, todo, wanted, kept)
            status = "connected"
        else:
            status = "not_connected"
        return _told(operator, {**answer, "status": status}, webhook_url)


def chosen_key(
    stored: str, given: str, target: TargetStack, ask: Callable[[str], str], *, new_key: bool
) -> str:
    """The key to use: from the environment, the stored one, or a person's.

    Raises OperatorError for one of the other mode.
    """
    mode = "live" if target.settings.livemode else "test"
    match = KEY.fullmatch(stored)
    if not given and match and match[1] == mode and not new_key:
        return stored
    key = (
        given
        or ask(
            f"Stripe's secret or restricted key, {mode} mode (sk_{mode}_... or rk_{mode}_...; not shown): "
        )
    ).strip()
    found = KEY.fullmatch(key)
    if not found:
        raise usage(
            "this is no secret key of Stripe's",
            f"it begins with sk_{mode}_ or rk_{mode}_: https://dashboard.stripe.com/apikeys",
        )
    if found[1] != mode:
        stage = f"Stage {target.settings.stage} with StripeMode {mode}"
        raise usage(
            f"a {found[1]} key, and this stack is {stage}",
            f"give a {mode} key, or deploy with StripeMode={found[1]}",
        )
    return key


def _endpoints(key: str, target: TargetStack) -> list[Any]:
    """Asking for them proves the key, before it is stored."""
    try:
        return AccountAtStripe(lambda: key, target.settings.stripe_api_base).endpoints()
    except KeyRefusedError as error:
        repair = (
            "copy it again, or with --new-key give another"
            if error.is_unknown
            else "a restricted key needs: Webhook Endpoints, write, and Events, read"
        )
        raise OperatorError(1, f"Stripe refuses the key: {error}", repair) from error


def _carry_out(target: TargetStack, key: str, todo: Plan, wanted: Wanted, kept: Kept) -> list[str]:
    """Returns what is to be said of it afterwards."""
    manager, settings = target.client("secretsmanager"), target.settings
    if moved := todo.change.get("url"):
        _check_address(target, str(moved), kept)
    if key != target.stripe_key():
        manager.put_secret_value(SecretId=settings.stripe_key_secret, SecretString=key)
    client = stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": settings.stripe_api_base},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=SECONDS_MAX),
    )

    def keep(document: str) -> None:
        manager.put_secret_value(SecretId=settings.webhook_secrets_secret, SecretString=document)

    try:
        waiting = Endpoints(
            client, AccountAtStripe(lambda: key, settings.stripe_api_base), keep
        ).carry_out(todo, wanted, kept)
    except (stripe.APIConnectionError, httpx.HTTPError) as error:
        raise unreachable(
            f"Stripe cannot be reached: {error}",
            "run the same command again; what was done is not done twice",
        ) from error
    except (stripe.StripeError, KeyRefusedError) as error:
        raise OperatorError(
            1, f"Stripe refuses: {error}", "mend what it says, and run the same command again"
        ) from error
    return [
        f"{name} stays on meanwhile: it has still to deliver. `topup connect` disables it when that is done"
        for name in waiting
    ]


def _check_address(target: TargetStack, url: str, kept: Kept) -> None:
    """An endpoint is moved in one step, and only where a signed event was just accepted: no delivery falls between two addresses."""
    tried = [
        delivered(url, secret, f"{url} is tried", livemode=target.settings.livemode)
        for secret in kept.secrets
    ]
    if not any(finding.level == "ok" for finding in tried):
        what = "; ".join(finding.what for finding in tried) or "no signing secret is stored"
        raise OperatorError(
            1,
            f"the endpoint was not moved: {what}",
            "choose the address with --webhook-url, or mend what it says",
        )


def _told(operator: Operator, answer: dict[str, Any], webhook_url: str) -> int:
    """What was done, and how the stack is now."""
    if answer["status"] in ("would_change", "not_connected"):
        operator.output.show(
            answer,
            f"{answer['stack']}: {answer['status'].replace('_', ' ')}",
            *(f"- {step}" for step in answer["steps"]),
        )
        return FINE
    target = operator.target.at(webhook_url)
    findings = doctor.examined(operator, target)
    done = [
        f"{answer['stack']} is connected with Stripe",
        *(f"- {step}" for step in (*answer["steps"], *answer["waiting"])),
    ]
    said, renderables = doctor.told(target, findings)
    operator.output.show(
        answer | said,
        *(done if answer["steps"] else [f"{done[0]}; nothing was to be changed"]),
        "",
        *renderables,
    )
    return doctor.exit_code(findings)
