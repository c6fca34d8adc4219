"""Compares our payments with Stripe, and retries parked events.

Expired holds and lots (units of one purchase or grant) are released by an
account's next request. For accounts that send none, this package releases
them.
"""
