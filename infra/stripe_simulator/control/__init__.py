"""Serves the hosted checkout page, a control API for tests, and what the Stripe CLI calls."""
