"""Books Stripe's events: updates payment, balance and ledger.

All that one event changes is written in one transaction.
"""
