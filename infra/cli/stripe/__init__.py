"""The command line's own access to the seller's Stripe account."""
