"""Manages a user's units: balance, ledger, debits and holds."""
