"""Builds, deploys, simulates and operates the product."""
