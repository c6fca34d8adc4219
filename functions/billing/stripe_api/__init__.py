"""Stripe's API and webhooks: requests, signatures, and events parsed into facts."""
