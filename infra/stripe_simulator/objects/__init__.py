"""Stripe's objects, where they are kept, and what happens to them."""
