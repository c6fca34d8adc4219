"""What a customer reads and sets of their quota, and is reminded of."""
