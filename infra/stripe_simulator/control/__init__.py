"""Serves the control API for tests, the hosted checkout page, and the Stripe CLI."""
