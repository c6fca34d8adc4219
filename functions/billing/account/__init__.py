"""What a customer reads and sets about their quota, and expiry reminders."""
