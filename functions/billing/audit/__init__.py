"""Checks that each account's rows agree with each other, and repairs them.

An account has a balance, ledger entries, lots (the units of one purchase or
grant), holds, payments and API keys. They mostly disagree after a restore of
only some of the tables.
"""
