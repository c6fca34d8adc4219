"""What the product runs on, and what its operators use."""
