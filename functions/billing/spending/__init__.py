"""Spends units: takes them from the account by a conditional write, for debits and holds."""
