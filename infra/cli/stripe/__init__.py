"""Reads and changes the seller's Stripe account, for the command line."""
