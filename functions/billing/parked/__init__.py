"""Keeps events that cannot be settled yet: parks, retries and drops them."""
