"""Builds Stripe's objects, and changes them as buyers, sellers and banks do."""
