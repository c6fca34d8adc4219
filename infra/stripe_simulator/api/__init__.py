"""Simulates Stripe's REST API: parameters, rules, lists, errors and idempotency keys."""
