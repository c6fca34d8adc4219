"""Automatic top-ups: the customer's agreement, and the one open charge that follows from it."""
