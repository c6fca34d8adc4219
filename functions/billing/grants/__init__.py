"""Grants: free units from the seller's backend, an operator, or on welcome."""
