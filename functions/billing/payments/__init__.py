"""Purchases: plans, settlement of Stripe's events, refunds and disputes."""
