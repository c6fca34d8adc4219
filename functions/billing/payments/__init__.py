"""Purchases: plans, payments, what an event changes, refunds and disputes."""
