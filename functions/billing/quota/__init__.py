"""Keeps a user's units: the balance, the ledger, lots, and API keys' use.

A lot is the units of one purchase or grant.
"""
