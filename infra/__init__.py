"""Builds, deploys and operates the product, and simulates Stripe for local stacks."""
