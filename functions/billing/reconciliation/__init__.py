"""Compares our payments with Stripe, and retries parked events.

It also releases expired holds and lots of accounts without requests.
"""
