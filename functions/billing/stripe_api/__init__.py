"""Talks to Stripe: sends requests, verifies signatures, and parses events into facts."""
