"""Compares our payments with Stripe, and retries parked events.

A parked event of Stripe's is stored until it can be booked. Expired holds
and lots (units of one purchase or grant) are released by an account's next
request. For accounts that send none, this package releases them.
"""
