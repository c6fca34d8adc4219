"""What a buyer calls: create a checkout, confirm it, list payments."""
