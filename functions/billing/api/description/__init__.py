"""The OpenAPI description of the API: its operations by subject, and the schemas they use."""
