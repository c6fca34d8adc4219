"""Takes units from an account by a conditional write, for debits and holds."""
