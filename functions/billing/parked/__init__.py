"""Keeps Stripe's events that cannot be settled yet, and retries or drops them.

To settle an event is to write its effect to our tables.
"""
