"""The seller's Stripe account as the command line sees it."""
