"""Defines the routes of webhook endpoints: https://docs.stripe.com/api/webhook_endpoints."""

from typing import Any, Final

from infra.stripe_simulator.api import rules
from infra.stripe_simulator.api.endpoint import getter, lister, route
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects import money
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

HOOKS: Final = "/v1/webhook_endpoints"


def _create(world: World, _: str, asked: dict[str, Any]) -> Thing:
    """Create a webhook endpoint, and return it with its signing secret.

    No later answer has the secret. https://docs.stripe.com/api/webhook_endpoints/create
    """
    rules.check_url("url", asked["url"])
    rules.check_metadata("metadata", asked.get("metadata", {}))
    if sum(1 for _ in world.store.newest_first("webhook_endpoint")) >= rules.ENDPOINTS_MAX:
        message = f"You have reached the maximum of {rules.ENDPOINTS_MAX} test webhook endpoints."
        raise StripeFault(400, message)
    made = world.store.put(money.webhook_endpoint(world.store, asked))
    secret = world.store.note(f"secret:{made['id']}", new_id("webhook_secret"))
    return {**made, "secret": secret}


def _update(world: World, name: str, asked: dict[str, Any]) -> Thing:
    found = world.need("webhook_endpoint", name)
    if "url" in asked:
        rules.check_url("url", asked["url"])
    changes: Thing = {
        key: asked[key] for key in ("url", "enabled_events", "description") if key in asked
    }
    if "disabled" in asked:
        changes["status"] = "disabled" if asked["disabled"] else "enabled"
    metadata = merge_metadata(found["metadata"], asked.get("metadata", {}))
    return world.change(found, **changes, metadata=metadata)


def _delete(world: World, name: str, _: dict[str, Any]) -> Thing:
    world.need("webhook_endpoint", name)
    world.store.remove(name)
    world.deliveries.forget(name)
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


ENDPOINTS: Final = (
    route(f"POST {HOOKS}", "_webhook_endpoint_create_params", _create),
    route(f"GET {HOOKS}", "_webhook_endpoint_list_params", lister("webhook_endpoint")),
    route(f"GET {HOOKS}/{{id}}", "_webhook_endpoint_retrieve_params", getter("webhook_endpoint")),
    route(f"POST {HOOKS}/{{id}}", "_webhook_endpoint_update_params", _update),
    route(f"DELETE {HOOKS}/{{id}}", "_webhook_endpoint_delete_params", _delete),
)
