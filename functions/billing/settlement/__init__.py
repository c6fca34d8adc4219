"""Settles Stripe's events: applies each to the books, in one transaction."""
