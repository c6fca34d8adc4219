"""Purchases: checkout, settlement of Stripe's events, refunds and disputes."""
