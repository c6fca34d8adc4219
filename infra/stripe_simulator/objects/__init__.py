"""Stripe's objects, and the acts that change them."""
