"""Compares the books with Stripe, retries parked events, audits and repairs."""
