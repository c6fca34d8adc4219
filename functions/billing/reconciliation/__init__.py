"""Compares the books with Stripe, retries parked events, and audits and repairs the books."""
