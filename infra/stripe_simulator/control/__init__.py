"""What stands beside Stripe's API: the checkout page and the control routes."""
