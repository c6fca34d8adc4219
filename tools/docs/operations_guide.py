"""Writes docs/operations.md: tables from the template and the code, every command of ``topup`` with what it printed on a stand."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from billing.telemetry import METRICS
from repo.declared import alarms, make_targets, parameters, stand_variables, variables
from support.stand import Stand, running

from infra.local.paths import ROOT

GUIDE: Final = ROOT / "docs" / "operations.md"
WIDTH: Final = "100"
ATTEMPTS_MAX: Final = 20

INTRO: Final = """\
# Operating Topup

Made by `make docs`, from a run on a stand: what `topup` printed is what it prints. Edit `tools/docs/operations_guide.py`, not this page.

## The first deployment, in fifteen minutes

What no test on one machine can show is on this list. Tick it off once per account and stage.

- [ ] `make deploy STAGE=prod` asks what it must know (kept in `.topup/prod.toml`), deploys, asks for the Stripe key, and ends with the
      doctor, exit code 0. That nobody hears the alarms yet, and that the books were never compared with Stripe, is a note in the first hours.
      The outputs are `NextStep`, `ApiUrl`, `WebhookUrl`, `WebhookFunctionUrl`, `FunctionLogs`, and with the Cognito pool `TokenUrl`,
      `ServiceClientId`, `UserPoolId`. A restricted key instead of a secret one has not been tried. The code reads Checkout Sessions, Payment Intents, Charges,
      Refunds, Disputes, Events, and writes Checkout Sessions and Webhook Endpoints.
- [ ] At Stripe there is one enabled endpoint of this stack, of the version and with the events that `topup connect` names.
- [ ] With the Cognito pool: somebody signs up on the page, and is sent back to it. Cognito sends them to `SiteUrl` or `DomainName`; without
      either to a small API that leads on to the page, so that one deployment is enough.
- [ ] With the Cognito pool: `SesIdentityArn` and `SesFrom` name an identity that SES has verified, in an account that has left SES's sandbox.
      Without them Cognito itself sends the sign-up mails, and stops at
      [50 a day](https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html) for the whole account.
- [ ] With the Cognito pool: the README's two lines give your backend a token, and `POST /api/v1/quota/debits` takes it.
- [ ] `AlarmTopicArn` names an SNS topic, and somebody has confirmed its subscription.
- [ ] The region has what the stack needs ("Regions", below).
- [ ] `make deploy` has asked Lambda how many concurrent executions the account has, and proposed a `WebhookConcurrency` that leaves 100 of
      them to the other functions; more is refused. 0 in a new account, which has 10 in all: ask AWS for 1 000, then write
      `WebhookConcurrency=20` into `.topup/prod.toml`.
- [ ] `make deploy` has said which Python it deploys: the one that the code was built with, unless `Runtime` is in the stage's file.
- [ ] With `DomainName`: it leads to the output `DomainTarget` (by itself with `HostedZoneId`), and the output `ApiUrl` shows the page. With
      `WebAclArn`: so it does, and the firewall's own figures show the visit. Neither has been tried on an account.
- [ ] `topup doctor --stack topup-prod` finds nothing wrong.
- [ ] A purchase with a real card, and its refund from Stripe's dashboard, show in `topup account YOU --stack topup-prod`.

## A domain, a firewall, other people's pages

`DomainName` and `CertificateArn` give the API a name of yours; the output `ApiUrl` and the address where customers come back to follow it.
`WebAclArn` puts a CloudFront distribution with your firewall before the API, because an HTTP API takes no web ACL. It then serves the domain,
and the certificate must be in us-east-1. With a firewall and no domain customers sign in and come back by the distribution's address; for
Stripe's way back set `SiteUrl` to the output `ApiUrl` in a second deployment.

Stripe goes on delivering to the output `WebhookUrl`, which is the API's own address: no name, certificate or rule about large bodies can come
between. That address stays open to everybody ([threats.md](threats.md) says what that means). `CorsOrigins` names the pages that may call
the API from a browser, `https://shop.example.com,https://app.example.com`; there is no way to name all of them.

## Regions

Every commercial region can have the stack; `make check` lints the template for all of them (`tools/lint_regions.py` lists what is lacking
where). Two things differ.

- Lambda function URLs are not everywhere ([AWS's list](https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html): Hyderabad,
  Melbourne, Malaysia, New Zealand, Thailand, Taipei, Calgary, Spain, Zurich, Tel Aviv, United Arab Emirates; CloudFormation's own list has
  Mexico too). There say `FunctionUrl=false`. Stripe then delivers to the output `WebhookUrl`.
- In thirteen regions an account has 2 500 requests a second and 1 250 at once, not 10 000 and 5 000
  ([quotas](https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)). The throttles are lower there by themselves
  ([scale.md](scale.md)).

China has no Cognito user pools: give `JwtIssuer`. Ningxia has no function URLs (`FunctionUrl=false`). A domain with a firewall does not work
there, because CloudFront and its certificates are another service, and the outputs `TokenUrl` and `DashboardUrl` name addresses of the other
partition. GovCloud has neither function URLs nor CloudFront: `FunctionUrl=false`, and no `WebAclArn`. Its Cognito has
[addresses of its own](https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-cog.html) (`auth-fips`), which the output `TokenUrl` and the
issuer do not have: give `JwtIssuer` there too. ARNs follow the partition. **Neither China, GovCloud nor the European Sovereign Cloud
has been tried.**

## Encryption

DynamoDB encrypts the tables with a key of its own, which costs nothing. `KmsKeyArn` names a key of yours instead; its policy must let IAM
decide (as the default policy does), and the functions get the right to use it through DynamoDB. It is charged for ([cost.md](cost.md)).
Changing it is done in place, within hours for large tables; a key that is disabled or deleted takes the tables with it.

## Coming from version 1

- **A Cognito pool that version 1 made** tells `Anna@example.com` from `anna@example.com`. Cognito cannot change that in an existing pool and
  refuses the update ("Updates are not allowed for property - UsernameConfiguration"); CloudFormation then goes back, and nothing is lost. Say
  `CaseSensitiveUserNames=true` for such a stack, for good.
- Its sign-in pages become managed login. If you have designed the old ones, say `SignInStyle=own` and make the new style in Cognito first.
- `SiteUrl` takes an origin alone. One with a path is refused.
- `WebhookConcurrency` keeps the value that the stack has: SAM repeats it. Only new stacks begin with 0.
- The tables' key changes from AWS's key in your account, which was charged for by the request, to DynamoDB's own.

## Starting from snapshots

`SnapStart=PublishedVersions` lets Lambda start functions from a snapshot of a process that has imported everything. It costs while nobody
calls: for Python a snapshot is paid for as long as its version is there, and at every start ([prices](https://aws.amazon.com/lambda/pricing/)).
`make deploy` then publishes a version of every function and leads everything to its alias `live`, and deletes the versions before; a plain
`sam deploy` publishes none, and nothing starts faster. Two addresses change when it is switched on or off: the output `WebhookFunctionUrl`
(run `topup connect`, as `make deploy` does), and what the seller's own API calls, `AuthorizeFunction`'s ARN, to which `:live` is
added. It has not been tried on an account; `tests/repo/test_snapshots.py` shows what a snapshot holds.

## Updating and going back

`make deploy STAGE=prod` of the new tag; it asks nothing that `.topup/prod.toml` knows (`ASK=1` asks anew), shows what will change, and
waits for a `y` (`YES=1` does not). Old and new code may run at once:
items only ever gain attributes, and every write names the version of the payment that it read. No table is ever replaced. Going back is
the same: check out the former tag and deploy it. `tests/e2e/test_rollback.py` does both under traffic on the embedded
AWS and then proves the books; the two builds there differ in their bytes, not in what they do, and that AWS kills functions at work
when their code is replaced, so that callers repeat.

Look before and after: `topup doctor`, `topup ledger verify`, and `topup watch` meanwhile.

A new Stripe API version comes with a release: `topup connect` then makes a new endpoint and keeps both signing secrets. After going back
over such a release run it again. `topup connect --roll` does the same for a new signing secret alone, and `topup connect --new-key` stores a
rolled key. Neither needs a deployment or a pause: when a signature fits no secret, or Stripe refuses the key, it is read anew at once (in each
container up to twenty times, then once in ten seconds), and a secret that was taken out of the list counts for five minutes at most.
No delivery is refused meanwhile: the new endpoint gets events once the stack has its secret. None is lost: the old one stays on
until nothing is undelivered that only it was given, at most three days; then the next `topup connect` disables it. Until then both deliver
the same events, which does no harm. An endpoint that was made by hand is replaced at the first run: nobody can tell which of the stored
secrets is its own. Stripe allows 16 endpoints to an account, disabled ones too: delete those from time to time.

## Which address Stripe delivers to

The same function answers at the output `WebhookFunctionUrl`, its Lambda Function URL, and at `WebhookUrl`, through API Gateway. `topup connect`
gives Stripe the first where the stack has one, else the second; `--webhook-url` chooses either, or an address of yours. An endpoint that is at
the other one is moved: it stays the same endpoint with the same secret, and only after a signed event was accepted at the new address. One
on a domain of yours stays where it is. The doctor tries every address.

Eleven commercial regions have no Function URLs
([list](https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html), in `infra/deploy/regions.py`). There `make deploy` passes
`FunctionUrl=false` by itself. In China, GovCloud and other partitions AWS's page does not say: `make deploy` asks, and takes no for an answer
where nobody is there; write `FunctionUrl=true` into the stage's file if it is otherwise.

## When a deployment fails

`make deploy` looks at the state of the stack first, and never deletes anything without asking. In production it asks at the terminal even with
`YES=1`. What it does in each state is a table, `infra/deploy/stack_states.py`:

| the stack | `make deploy` | `make uninstall` |
|---|---|---|
| works: `CREATE_COMPLETE`, `UPDATE_COMPLETE`, `UPDATE_ROLLBACK_COMPLETE`, `IMPORT_COMPLETE`, `IMPORT_ROLLBACK_COMPLETE` | updates it | keeps the books, deletes the rest |
| is what a failure left: `ROLLBACK_COMPLETE`, `ROLLBACK_FAILED`, `DELETE_FAILED` | lists what is in it, asks, keeps tables and users, deletes the rest, and takes them into a new stack | the same without the new stack |
| cannot be updated now: `CREATE_FAILED`, `UPDATE_FAILED`, `UPDATE_ROLLBACK_FAILED`, `IMPORT_ROLLBACK_FAILED` | says which command frees it | keeps the books, deletes the rest |
| is being worked on: every other state that ends in `_IN_PROGRESS` | waits for you to run it again | the same |

A first deployment of production that fails ends in `ROLLBACK_FAILED`, because its tables are protected against deletion. They are never deleted:
the next deployment begins with them.

A route that a release no longer has leaves its throttle in the API's stage, and AWS would refuse the update ("Unable to find Route by key").
`make deploy` removes such throttles first, and puts them back if the deployment does not happen. A plain `sam deploy` does not:
`aws apigatewayv2 delete-route-settings --api-id ... --stage-name '$default' --route-key 'GET /...'`.

## Events by Amazon EventBridge

Off, unless `StripeEventBus` is set. It brings Stripe's events a second way into the same settlement: with both on, each is settled once.

1. At Stripe, in Workbench under Webhooks: a new destination for your own account, API version `2026-10-28.endive`, snapshot events, the
   events that the README names, Amazon EventBridge, the stack's AWS account and region.
2. `aws events list-event-sources --name-prefix aws.partner/stripe.com` shows its name. Within seven days, or it is gone again:
   `aws events create-event-bus --name aws.partner/stripe.com/ed_... --event-source-name aws.partner/stripe.com/ed_...`
3. `"StripeEventBus=aws.partner/stripe.com/ed_..."` in `.topup/prod.toml`, and `make deploy STAGE=prod`. Later, `'StripeEventBus=""'`
   switches it off.

Events go to the queue in which facts are kept, and RecoverFunction settles them from there. What it cannot settle comes again every six
minutes; after a day of that ParkedDeadLetterAlarm rings. They carry no signature: EventBridge lets nobody but Stripe write under that name, and the
queue takes messages from the stack's rule alone. The webhook may stay beside it; if you disable its endpoint at Stripe, the doctor does not miss
it, but `topup connect`, with which `make deploy` ends, switches it on again. **Not tried with Stripe's own destination**: the embedded AWS has
buses, rules and queues, but no partners.

## Several stages

Each stage is a stack of its own: `make deploy` (topup-dev, test mode), `make deploy STAGE=prod` (topup-prod, live mode), or any further
name: `make deploy STAGE=qa` makes topup-qa. They share nothing in AWS. In one Stripe account they tell their payments and their endpoints
apart by an id in the metadata, `deployment`, which the first checkout makes and the tables keep. So do two stacks of one name, in two regions
or two AWS accounts, and two developers with one test key. A copy of the tables has the same id: give a stack on copied tables another Stripe key.

What a stage is deployed with is in `.topup/STAGE.toml`, a configuration file of SAM's own: any parameter below may be added to it by hand.
One that is taken out again keeps the value that the stack has; `'Name=""'` empties it.
Git does not see the file, so that another release can be checked out without a conflict; it holds no secret, so that it can be given to whoever
else deploys. On a machine without it the questions are asked again, and the answers that the stack has are proposed. In continuous deployment
write the file, set `STRIPE_API_KEY`, and say `YES=1`.

Everything works with one set of credentials: `profile` in the stage's file if it is there, even if the shell has keys; otherwise the shell's own,
as the AWS CLI finds them. `make deploy` says first which account and region that is.

## Tokens

With the Cognito pool: customers sign in on its page, and their access tokens carry `openid profile`. The seller's backend exchanges its client's
id and secret for a token with `topup/quota.write` (README); its `sub` is the client's id. Such exchanges are charged for: keep a token for
its hour. `aws cognito-idp add-user-pool-client-secret` rolls the secret.

With an issuer of your own: `JwtAudience` is what its tokens name as `aud` (or as `client_id`, in tokens without `aud`), and the scope
`quota.write` is looked for in `scope` and in `scp`. Entra's daemons carry `roles` instead, which API Gateway does not look at: they need a
delegated scope, or an issuer in between.

## Uninstalling

`make uninstall STAGE=prod` says what stays, in every stage: the five tables with all that is in them, and the
Cognito pool with its users, since every balance belongs to a `sub` that only the same pool gives again. Then it asks, and deletes the rest. In
production both are protected against deletion too. If AWS's list of the stack's resources does not have everything that the deployed
template keeps, it stops. It leaves `.topup/kept-topup-prod.ACCOUNT.REGION.json`; keep that file. The next `make deploy STAGE=prod` in that
account and region finds it and takes all of it into the new stack, by an import of CloudFormation's, before anything else is in it. Anywhere
else the file is refused, and `make deploy` asks before it makes empty tables. `tests/e2e/test_stranger.py` does so on the embedded AWS; try it on
AWS with a stage that holds nothing first. The backend's client and the sign-in page's address are new ones then: see the outputs.

By hand it is `aws cloudformation create-change-set --change-set-type IMPORT` with the file's `resources` and `template`, then
`execute-change-set`.

## Restoring

DynamoDB restores one table at a time, into a new table, without the settings that guard it. Two commands do what is to be done for all five.
Until the second one nothing changes for customers. Both have been tried on emulators that restore (moto, MiniStack), never on AWS: try them
on a stage of your own before you need them.

1. **Find the second** to go back to, the last one at which the books were right. `topup account` and the log say when it went wrong.
   AWS keeps 35 days, up to about five minutes ago.
2. **`topup restore --at 2026-11-29T12:00:00Z`** makes five tables as they were at that second: `NAME-at-20261129T120000Z`, with the indexes,
   billing, encryption, expiry, point-in-time recovery, tags and deletion protection of the stack's own. It takes from minutes to hours.
   Interrupted, by Ctrl-C or by credentials that expire, it goes on when the same command is given again, from any machine.
   What you have added to a table yourself it does not copy: auto scaling, a resource policy, replicas, a stream to Kinesis, alarms.
   A table that was deleted has no such second any more: AWS keeps
   [a backup of its end](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html) for 35 days.
3. **`topup switch --to 2026-11-29T12:00:00Z`** lets all functions use them, by one update of the stack, which takes a minute or two. Some
   requests are answered 5xx meanwhile: Stripe delivers again. Should the update fail, AWS rolls it back.
4. **`topup reconcile --since 30d --repair`** (as far back as the second) credits what was sold since: Stripe knows it. Each purchase is
   credited once, also when its webhook comes again.
5. **`topup ledger verify --repair`** names every account of which the tables tell different stories, and mends them.

What nobody can bring back: units that customers spent after the second are theirs again, grants of that time must be given again, and API
keys made since do not work any more. **API keys that were revoked since work again.** `topup switch` names them, and `--revoke-again` revokes
them; leave it out only if the keys themselves are what was lost.

The way back is `topup switch --to original`, or `--to` another restore. What was sold or spent in between stays in the tables that are left:
reconcile again. With `SnapStart=PublishedVersions` the switch ends by asking for `make deploy`, which publishes the functions anew.

From then on the restored tables are the books. `topup` and its doctor look at them; `make deploy` and `sam deploy` keep them (`TableSuffix`
is changed by `topup switch` alone; a release from before that parameter would use the stack's own tables again); `make uninstall` names
them, and the next deployment takes them up again. The tables of before stay, and cost storage. The stack's own five are still
CloudFormation's: deleting them breaks the next release that changes a table, and the way back after uninstalling. Tables of a restore that is
not in use you may delete. When a release changes a table's settings or adds an index, CloudFormation changes its own table alone:
`topup doctor` then says what the table in use lacks, and `topup restore` with the same time brings settings over.
"""

DASHBOARD: Final = """\
## The dashboard

The output `DashboardUrl` leads to it; whoever was woken begins there. It answers four questions: is money arriving, is anything stuck, is it
fast, is anybody refused. Its source is at the end of `template.yaml`, after the alarms'. An account's first three dashboards of at most 50
metrics are free; deploy a stage beyond those with `Dashboard=false`.

Here it is over two minutes on a stand (`tools/docs/dashboard_picture.py`, the shop's day in `tools/docs/dashboard_day.py`): a fact that stays parked,
deliveries held back and then late, three payments whose deliveries were lost until reconciliation found them, somebody who guesses
signatures, and Stripe out of order. Hollow: nothing was counted. What only AWS measures is empty.

![Twelve graphs over a run: events settle all along, one parked fact grows older, reconciliation finds three lost payments](images/dashboard.svg)

## Finding one request

Every request leaves one line: route, status, `request_id` (the caller's `x-request-id`), and the ids of what it was about: `payment_id`,
`session_id`, `event_id`, `debit_id`, `key_id`, and of a `hold_id` the first 45 characters, for the others spell the user. No line holds a
body, an e-mail address, a token or a secret; `tests/e2e/test_logs.py` reads all that the whole suite made the functions log. In CloudWatch
Logs Insights, over the group that the output `FunctionLogs` names:

```
fields @timestamp, route, status, outcome, event_id, request_id | filter payment_id = "pay_..." | sort @timestamp
```

A refusal that API Gateway makes by itself (`{"message":"Unauthorized"}`, 401, 403, 404, 429) reaches no function. The API's access log says
why; its group is the resource `AccessLogs` of the stack:

```
fields @timestamp, status, route, refused, why, authorizer, request_id | filter status = "401" | sort @timestamp
```

`authorizer` is what the JWT authorizer found wrong with the token: expired, another audience or issuer, no such key. `refused` is the kind
(`UNAUTHORIZED`, `ACCESS_DENIED` for a missing scope, `THROTTLED`, `MISSING_AUTHENTICATION_TOKEN`), `integration` what became of calling the
function. "-" stands for nothing.

X-Ray samples the first request of every second and one in twenty of the others; those show what they waited for. Its console finds them by
the same ids: `annotation.payment_id = "pay_..."`.
"""

ADVICE: Final = {
    "ParkedOld": "A fact that Stripe sent has waited for more than an hour, and goes on waiting. `topup parked` says for what. For its payment: "
    "`topup reconcile --since 7d --repair` brings those whose own delivery was lost; no units are lost meanwhile, they come late. For a person: "
    "that is you, and it rings until `topup parked retry` or `topup parked drop`. A purchase that is not to be credited is refunded at Stripe and "
    "then dropped; its refunds and disputes go with it within six hours, at once by `topup parked retry`. A refund or dispute of another product, or "
    "of another deployment on the same Stripe account, goes by itself within two minutes, once Stripe has said whose it is; what can move no unit and "
    "has no record is never parked.",
    "ParkedDeadLetter": "A fact was tried by RecoverFunction for a day, in vain. `topup parked` lists its record if there is one; "
    "otherwise `topup replay EVENT_ID` settles it by its id, which the message in ParkedDeadLetterQueue names. After an outage, when there are "
    "many: `aws sqs start-message-move-task` tries them all again; they are kept for 14 days.",
    "ParkedQueueOld": "The queue keeps what DynamoDB could not take, and Stripe's events where `StripeEventBus` is set; RecoverFunction empties it "
    "within minutes. `topup doctor` says whether its event source is on, and its log why a message stays. Messages are kept for 14 days; the units "
    "come late.",
    "RecoverMissing": "Nobody tries parked facts again, and nobody says how old they are, so that ParkedOldAlarm is silent as well. "
    "`topup doctor` says whether the schedule is on; then look at the function's errors on the dashboard. A new stack rings until its first run.",
    "ReconcileMissing": "Nobody compares with Stripe: a payment whose every delivery was lost stays without its units. `topup doctor` says "
    "whether the schedule is on; `topup reconcile --since 24h --repair` does its work by hand. A new stack rings until its first run, for an hour.",
    "WebhookThrottles": "More deliveries at once than `WebhookConcurrency` lets in, or than the account has left (a new one has 10 for everything). "
    "Stripe delivers again for three days. Raise the parameter, or the account's limit; `topup reconcile --since 1h --repair` does not wait for Stripe.",
    "AuthorizeErrors": "Your own API answered 500 to customers with units: it fails closed. The log of AuthorizeFunction names the reason. A unit may "
    "be gone for a call that was not made: `topup account USER` shows it, `topup grant` gives it back.",
    "ApiFaults": "More than five answers in five minutes, twice in a row. Where it is the checkout, sales are being lost: `stripe_unavailable` in its log "
    "means that Stripe does not answer; `stripe_refused` has an alarm of its own. The access log has route, status and reason of every answer.",
    "StripeRefused": "One is enough: the same request is refused again, so that every checkout may fail. The log has the line `stripe refused` with "
    "Stripe's own `type`, `code`, `message`, `param` and `request_id`; Stripe's dashboard shows the request under that id. 401: the key is "
    "revoked or expired, store another with `topup connect --new-key`. 403: the restricted key lacks the right that the message names. "
    "`amount_too_small`: the price is less than Stripe charges in the currency of your bank account, raise it in `plans.json`. "
    "`resource_missing`: the key is another account's or mode's. `tax`: finish Stripe's tax settings, or deploy with `AutomaticTax=false`. "
    "`topup doctor` tries the key and its rights. A buyer may then retry under the same Idempotency-Key.",
    "OutcomeUnknown": "Requests were answered 5xx because DynamoDB gave no answer in time. Where the log says `busy`, nothing was "
    "done: an account that very many spend from, or a throttle. Stripe delivers again by itself. If it goes on, "
    "look at DynamoDB's throttling for the tables and at AWS's status page.",
    "InternalErrors": "A fault of ours. The log group in the output FunctionLogs has the whole traceback under the request's id: `aws logs tail "
    "GROUP --since 1h --filter-pattern '\"REQUEST_ID\"'`, GROUP being that output. Nothing is half done; Stripe delivers again. Please report it.",
    "RefusedSignatures": "More than five deliveries in five minutes were not signed with a secret we have. After rolling a secret: put the new "
    "one beside the old one. `topup doctor` tries every secret. Otherwise somebody is guessing, in vain.",
    "ReconcileDifferences": "Stripe and the books disagreed. What can be settled was settled in the same run; the log of ReconcileFunction and "
    "`topup reconcile --since 24h` show the rest. `missing_there` needs a person: units were credited for what Stripe does not show as paid.",
    "WebhookErrors": "WebhookFunction itself failed: out of time, out of memory, or a missing setting. Its log names it. Stripe delivers again.",
    "RecoverErrors": "RecoverFunction does not run to its end; parked facts wait. Its log names the reason.",
    "ReconcileErrors": "ReconcileFunction failed, or could not compare some rows or lists. Its log names each of those (`not compared`), and so does "
    "`topup reconcile --since 30d`; all others were compared, and every run looks at these again. Ten failures in a row end a run; the next goes "
    "on behind them. A list: the key lacks a right, or is refused (`topup doctor`). One account: it is too busy, or its record is odd; look at "
    "`topup payment ID`.",
}


def _commands(stand: Stand) -> Iterator[tuple[str, Sequence[str]]]:
    """What to run, and a sentence about it."""
    bought = stand.purchase("alice")
    stand.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": "alice", "units": 7},
    )
    stand.control("deliveries", drop=1)
    lost = stand.buy("bob")
    stand.pay(lost["session_id"])
    stand.control("deliveries", drop=0)
    yield (
        "Connects a stack with Stripe: key, webhook endpoint, signing secret. `make deploy` ends with it. A second run changes nothing.",
        ["connect", "--dry-run"],
    )
    yield "Finds what loses money in practice, and how to mend it.", ["doctor"]
    yield "One customer on one screen.", ["account", "alice"]
    yield "Payments, newest first.", ["payments", "--limit", "5"]
    yield (
        "One purchase with its whole history, and what Stripe says now.",
        ["payment", bought["payment_id"], "--user", "alice"],
    )
    yield (
        "Units by hand, with a reason; the same `--id` twice does nothing.",
        ["grant", "alice", "50", "--reason", "an apology", "--id", "1", "--yes"],
    )
    yield (
        "Compares with Stripe; here bob has paid, and every webhook of it was lost.",
        ["reconcile", "--since", "1h"],
    )
    yield "The same, and settles it.", ["reconcile", "--since", "1h", "--repair", "--yes"]
    mismatch = stand.events("checkout.session.completed", bought["session_id"])[0]
    mismatch["id"] = "evt_made_up_for_this_page"
    mismatch["data"]["object"]["id"] = "cs_test_made_up_for_this_page"
    stand.deliver(mismatch)
    yield (
        "Facts that could not be applied. Here money came twice for one payment: a person decides.",
        ["parked"],
    )
    yield "The same list, by its full name.", ["parked", "list"]
    yield "Tries one at once.", ["parked", "retry", "evt_made_up_for_this_page", "--yes"]
    yield (
        "Decides that it is not to be settled, after refunding it at Stripe.",
        ["parked", "drop", "evt_made_up_for_this_page", "--reason", "refunded", "--yes"],
    )
    event = stand.events("checkout.session.completed", bought["session_id"])[0]
    yield (
        "Settles an event again, by its id. What is settled stays settled once.",
        ["replay", event["id"], "--yes"],
    )
    yield "Proves the books: every account recomputed from its entries.", ["ledger", "verify"]
    _restored(stand, bought)
    yield (
        "After a restore. Here alice's purchase was put back to before it was paid; without `--repair` this would only be reported.",
        ["ledger", "verify", "--repair", "--yes"],
    )
    yield (
        "Every entry, as CSV or JSON lines, in constant memory. A text that a spreadsheet would run as a formula has a `'` before it in CSV.",
        ["ledger", "export", "--format", "csv"],
    )
    yield "Settlements, refusals, parked facts and errors, minute by minute.", ["watch", "--once"]


def _restore(stand: Stand) -> str:
    """Restore the stand's tables.

    Its AWS has one second to restore to, the current one, which may end between two questions.
    """
    on = {"PointInTimeRecoveryEnabled": True}
    for name in stand.resources().values():
        if "Table-" in name:
            stand.boto("dynamodb").update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification=on
            )
    for _ in range(ATTEMPTS_MAX):
        if found := re.search(
            r"topup switch --to (\S+)", _ran(stand, ["restore", "--at", "latest", "--yes"])
        ):
            return found[1]
    raise AssertionError("the second always ended")


def _restored(stand: Stand, bought: Mapping[str, Any]) -> None:
    """As a restore of the payments table to an earlier moment leaves it."""
    stand.boto("dynamodb").update_item(
        TableName=stand.resources()["PaymentsTable"],
        Key={"owner": {"S": "user#alice"}, "id": {"S": bought["payment_id"]}},
        UpdateExpression="SET phase = :p, #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":p": {"N": "0"}, ":s": {"S": "pending"}},
    )


def _ran(stand: Stand, words: Sequence[str]) -> str:
    environment = {
        **os.environ,
        "TOPUP_STATE_DIR": str(stand.state),
        "COLUMNS": WIDTH,
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    text = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines()).strip()
    return re.sub(r"(127\.0\.0\.1|localhost):\d+", "localhost:8080", text) + (
        f"\n[exit code {done.returncode}]" if done.returncode else ""
    )


def _sections(stand: Stand) -> Iterator[str]:
    yield INTRO
    yield "## The commands\n\n" + _block(["--help"], _ran(stand, ["--help"]))
    shown: set[str] = set()
    for told, words in _commands(stand):
        name = " ".join(words[: 2 if words[0] in ("parked", "ledger") and len(words) > 1 else 1])
        asked = name.split()
        help_of = (
            ""
            if name in shown
            else "\n\n" + _block([*asked, "--help"], _ran(stand, [*asked, "--help"]))
        )
        heading = "" if name in shown else f"### topup {name}\n\n"
        shown.add(name)
        yield f"{heading}{told}\n\n{_block(words, _ran(stand, words))}{help_of}"
    yield DASHBOARD
    yield "## Alarms\n\nSNS tells the topic of `AlarmTopicArn`.\n\n" + "\n\n".join(
        f"### {name}Alarm\n\n{row['AlarmDescription']}: {_rings(row)}. {ADVICE[name]}"
        for name, row in alarms().items()
    )
    yield (
        "## Metrics\n\nIn CloudWatch, namespace `Topup`, dimension `service` = the stack's name.\n\n"
        + _table(METRICS.items())
    )
    yield "## Parameters\n\n" + _table(
        (name, f"{row['Description']} Default: `{row.get('Default', '')}`")
        for name, row in parameters().items()
    )
    yield (
        "## Environment variables of the functions\n\nThe template sets them; nobody else needs to.\n\n"
        + _table(variables().items())
    )
    yield (
        "## The stand\n\n"
        + _table(stand_variables().items())
        + "\n\n"
        + _table((f"make {name}", told) for name, told in make_targets().items())
    )


def _rings(alarm: Mapping[str, Any]) -> str:
    """When."""
    if alarm["ComparisonOperator"] == "LessThanThreshold":
        return f"`{alarm['MetricName']}` not counted once in {alarm['Period'] * alarm['EvaluationPeriods'] // 60} minutes"
    return f"`{alarm['MetricName']}` above {alarm['Threshold']}"


def _block(words: Sequence[str], text: str) -> str:
    return f"```console\n$ topup {' '.join(words)}\n{text}\n```"


def _table(rows: Any) -> str:
    return "| name | what it means |\n|---|---|\n" + "\n".join(
        f"| `{name}` | {_cell(told)} |" for name, told in rows
    )


def _cell(told: object) -> str:
    return str(told).replace("|", "/")


def main(guide: Path = GUIDE) -> None:
    """Start a stand, run everything, write the page."""
    with running() as stand:
        guide.write_text("\n\n".join(section.strip() for section in _sections(stand)) + "\n")
    sys.stdout.write(f"{guide.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
