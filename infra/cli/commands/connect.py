"""``topup connect``: stores Stripe's key, connects one webhook endpoint, and runs the doctor."""

import os
from collections.abc import Callable
from typing import Annotated, Any, Final

import httpx
import stripe
import typer
from billing.stripe_api.connection import API_VERSION

from infra.cli.checks.stripe import KEY
from infra.cli.command import DryRun, Yes, command
from infra.cli.commands import doctor
from infra.cli.errors import FINE, FOUND_SOMETHING, OperatorError, unreachable, usage
from infra.cli.operator import Operator
from infra.cli.stripe.account import SECONDS_MAX, AccountAtStripe, KeyRefusedError
from infra.cli.stripe.endpoint_plan import Plan, plan
from infra.cli.stripe.endpoint_settings import Wanted
from infra.cli.stripe.endpoints import Endpoints
from infra.cli.stripe.probe_delivery import probe_delivery
from infra.cli.stripe.stored_secrets import Kept
from infra.cli.target import TargetStack
from infra.cli.troubles import AGAIN

VARIABLE: Final = "STRIPE_API_KEY"
"""The environment variable with Stripe's secret key. The Stripe CLI uses the same name:
https://docs.stripe.com/cli/api_keys.
"""
RETRIES: Final = 3
"""How often Stripe's SDK repeats a request. All attempts have the same idempotency key, so a
repeated answer still has the new endpoint's signing secret.
"""
WebhookUrl = Annotated[
    str,
    typer.Option(
        "--webhook-url", help="Where Stripe delivers events (default: the stack's own address)."
    ),
]
NewKey = Annotated[
    bool, typer.Option("--new-key", help="Ask for a key even if a usable one is stored.")
]
Roll = Annotated[
    bool,
    typer.Option("--roll", help="Make a new endpoint with a new secret, even if the present fits."),
]


def register(app: typer.Typer) -> None:
    """Add the command ``connect`` to the application."""

    @command(app, "connect")
    def connect(  # noqa: PLR0917 - the command line's own arguments
        operator: Operator,
        webhook_url: WebhookUrl = "",
        new_key: NewKey = False,  # noqa: FBT002 - Typer's own way to declare a flag
        roll: Roll = False,  # noqa: FBT002 - see above
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Connect the stack with Stripe: its key, its webhook endpoint and its signing secret.

        The key comes from STRIPE_API_KEY, or you are asked for it. The doctor runs at the end.

        Run it after every deployment: it changes only what does not fit.

        Example: topup connect --stack topup-prod --webhook-url https://pay.example.com/hook
        """
        target = operator.target
        stored = target.stripe_key()
        given, ask = os.environ.get(VARIABLE, ""), operator.output.ask_secret
        key = chosen_key(stored, given, target, ask, new_key=new_key)
        kept = Kept.read(target.secret(target.settings.webhook_secrets_secret))
        wanted = _wanted(operator, webhook_url, dry_run=dry_run)
        todo = plan(_endpoints(key, target), target.webhook_urls(), wanted, kept, roll=roll)
        steps = todo.steps()
        if key != stored:
            steps.insert(0, f"store the Stripe key in {target.settings.stripe_key_secret}")
        answer: dict[str, Any] = {"stack": target.stack_name, "steps": steps, "waiting": []}
        if dry_run or not steps:
            status = "would_change" if steps else "unchanged"
        elif operator.output.ask(_question(target, steps), yes=yes):
            answer["waiting"] = _carry_out(target, key, todo, wanted, kept)
            status = "connected"
        else:
            status = "not_connected"
        return _show(operator, {**answer, "status": status}, webhook_url)


def _wanted(operator: Operator, webhook_url: str, *, dry_run: bool) -> Wanted:
    target, deployment = operator.target, operator.books.ours.deployment
    name = deployment.known() if dry_run else deployment.id()
    return Wanted(target.stack_name, target.webhook_url, webhook_url, target.other_urls, name)


def _question(target: TargetStack, steps: list[str]) -> str:
    return "\n".join([f"{target.stack_name}:", *(f"- {step}" for step in steps), "Go on?"])


def chosen_key(
    stored: str, given: str, target: TargetStack, ask: Callable[[str], str], *, new_key: bool
) -> str:
    """Return the Stripe key to use: ``given``, the stored key, or what the operator types.

    With ``new_key`` the stored key is not used. Raises OperatorError if the key is not a secret key
    of Stripe's, or is of the other mode (live or test).
    """
    mode = "live" if target.settings.livemode else "test"
    match = KEY.fullmatch(stored)
    if not given and match and match[1] == mode and not new_key:
        return stored
    forms = f"sk_{mode}_... or rk_{mode}_..."
    question = f"Stripe's secret or restricted key, {mode} mode ({forms}; not shown): "
    key = (given or ask(question)).strip()
    found = KEY.fullmatch(key)
    if not found:
        repair = f"it begins with sk_{mode}_ or rk_{mode}_: https://dashboard.stripe.com/apikeys"
        raise usage("this is no secret key of Stripe's", repair)
    if found[1] != mode:
        stage = f"Stage {target.settings.stage} with StripeMode {mode}"
        repair = f"give a {mode} key, or deploy with StripeMode={found[1]}"
        raise usage(f"a {found[1]} key, and this stack is {stage}", repair)
    return key


def _endpoints(key: str, target: TargetStack) -> list[Any]:
    """Return the account's webhook endpoints.

    Raises OperatorError if Stripe refuses the key. So a wrong key is noticed before it is stored.
    """
    try:
        return AccountAtStripe(lambda: key, target.settings.stripe_api_base).endpoints()
    except KeyRefusedError as error:
        repair = "a restricted key needs: Webhook Endpoints, write, and Events, read"
        if error.is_unknown:
            repair = "copy it again, or with --new-key give another"
        message = f"Stripe refuses the key: {error}"
        raise OperatorError(FOUND_SOMETHING, message, repair) from error


def _carry_out(target: TargetStack, key: str, todo: Plan, wanted: Wanted, kept: Kept) -> list[str]:
    """Store the Stripe key, then make the planned changes to the webhook endpoints.

    ``todo`` is the plan, ``wanted`` the right settings of the stack's endpoint, and ``kept`` its
    stored signing secrets. Returns a sentence for each replaced endpoint that stays enabled for
    its pending events. Raises OperatorError if Stripe refuses or cannot be reached.
    """
    manager, settings = target.client("secretsmanager"), target.settings
    if moved := todo.change.get("url"):
        _check_address(target, str(moved), kept)
    if key != target.stripe_key():
        manager.put_secret_value(SecretId=settings.stripe_key_secret, SecretString=key)

    def keep(document: str) -> None:
        manager.put_secret_value(SecretId=settings.webhook_secrets_secret, SecretString=document)

    account = AccountAtStripe(lambda: key, settings.stripe_api_base)
    endpoints = Endpoints(_client(key, settings.stripe_api_base), account, keep)
    try:
        waiting = endpoints.carry_out(todo, wanted, kept)
    except (stripe.APIConnectionError, httpx.HTTPError) as error:
        raise unreachable(f"Stripe cannot be reached: {error}", AGAIN) from error
    except (stripe.StripeError, KeyRefusedError) as error:
        message = f"Stripe refuses: {error}"
        repair = "repair what it says, and run the same command again"
        raise OperatorError(FOUND_SOMETHING, message, repair) from error
    return [
        f"{name} stays on for its pending events. `topup connect` disables it when they are done"
        for name in waiting
    ]


def _client(key: str, api_base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": api_base},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=SECONDS_MAX),
    )


def _check_address(target: TargetStack, url: str, kept: Kept) -> None:
    """Raise OperatorError unless ``url`` accepts an event signed with a stored secret.

    ``kept`` has the stored signing secrets of the webhook. The endpoint at Stripe is to be moved
    to ``url``, and from then on gets all events there, so this is checked before.
    """
    tried = [
        probe_delivery(url, secret, f"{url} is tried", livemode=target.settings.livemode)
        for secret in kept.secrets
    ]
    if any(finding.level == "ok" for finding in tried):
        return
    what = "; ".join(finding.what for finding in tried) or "no signing secret is stored"
    repair = "choose the address with --webhook-url, or repair what it says"
    raise OperatorError(FOUND_SOMETHING, f"the endpoint was not moved: {what}", repair)


def _show(operator: Operator, answer: dict[str, Any], webhook_url: str) -> int:
    """Show what ``topup connect`` did or would do, and return the exit code.

    Then the checks of ``topup doctor`` run, are shown, and decide the exit code. They do not run if
    changes were only planned, in a dry run, or refused by the operator.
    """
    steps = [f"- {step}" for step in answer["steps"]]
    if answer["status"] in ("would_change", "not_connected"):
        title = f"{answer['stack']}: {answer['status'].replace('_', ' ')}"
        operator.output.show(answer, title, *steps)
        return FINE
    target = operator.target.at(webhook_url)
    findings = doctor.examine_all(operator, target)
    title = f"{answer['stack']} is connected with Stripe"
    lines = [title, *steps, *(f"- {sentence}" for sentence in answer["waiting"])]
    if not steps:
        lines = [f"{title}; nothing was changed"]
    report, renderables = doctor.report(target, findings)
    operator.output.show(answer | report, *lines, "", *renderables)
    return doctor.exit_code(findings)
