"""Removes the throttles of routes that a new template no longer has.

The stage of an API keeps such throttles, and the update would fail:

"Unable to find Route by key ... within the provided RouteSettings"
(https://github.com/aws/serverless-application-model/issues/1939). AWS recommends
DeleteRouteSettings:
https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages-stagename-routesettings-routekey.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

API: Final = "HttpApi"
STAGE: Final = "$default"
EVENT: Final = "HttpApi"


def routes(template: Mapping[str, Any]) -> set[str]:
    """Return the route keys of a SAM template, for example ``GET /api/v1/plans``.

    Routes that a condition leaves out are included.
    """
    found: set[str] = set()
    for resource in template["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == EVENT:
                found.add(f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}")
    return found


@dataclass(slots=True)
class Throttles:
    """Removes throttles (rate limits) of single routes from one HTTP API, and restores them.

    ``gateway`` is an apigatewayv2 client.
    """

    gateway: Any
    api_id: str
    _removed: dict[str, Any] = field(default_factory=dict)

    def remove_orphans(self, template: Mapping[str, Any]) -> list[str]:
        """Remove the throttles of routes that ``template`` does not have.

        Returns the keys of those routes, for example ``GET /api/v1/plans``.
        """
        settings = self._settings()
        kept = routes(template)
        for key in sorted(set(settings) - kept):
            self.gateway.delete_route_settings(ApiId=self.api_id, StageName=STAGE, RouteKey=key)
            self._removed[key] = settings[key]
        return list(self._removed)

    def put_back(self) -> list[str]:
        """Restore the throttles that were removed, after a failed deployment.

        Routes that no longer exist get none. Returns the route keys of the others.
        """
        if not self._removed:
            return []
        pages = self.gateway.get_paginator("get_routes").paginate(ApiId=self.api_id)
        there = {row["RouteKey"] for page in pages for row in page["Items"]}
        again = {key: value for key, value in self._removed.items() if key in there}
        if again:
            whole = self._settings() | again
            self.gateway.update_stage(ApiId=self.api_id, StageName=STAGE, RouteSettings=whole)
        return list(again)

    def _settings(self) -> dict[str, Any]:
        stage = self.gateway.get_stage(ApiId=self.api_id, StageName=STAGE)
        found: dict[str, Any] = stage.get("RouteSettings", {})
        return found
