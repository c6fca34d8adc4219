"""What a buyer calls: checkout, confirmation, the list of payments."""
