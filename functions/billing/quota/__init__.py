"""Keeps a user's units: the balance, the ledger, lots, and API keys' use."""
