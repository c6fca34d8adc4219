"""Compares our payments with Stripe, retries parked events, sweeps holds."""
