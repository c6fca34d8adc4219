"""The HTTP API's edge: requests, responses, endpoints and the OpenAPI description."""
