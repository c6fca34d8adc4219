"""Manages a user's units: balance, ledger, debits, holds and API keys."""
