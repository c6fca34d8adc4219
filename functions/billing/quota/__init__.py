"""Keeps a user's units: balance, ledger, lots as stored, and what keys use."""
