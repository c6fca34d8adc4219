"""Compares the books with Stripe, retries parked events, and sweeps expired holds."""
