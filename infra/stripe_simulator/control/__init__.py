"""What is served beside Stripe's API: the control API, the hosted page and the Stripe CLI."""
