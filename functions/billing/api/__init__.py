"""The HTTP API: requests, responses, endpoints and the OpenAPI description."""
