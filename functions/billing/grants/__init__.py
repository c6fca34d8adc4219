"""Units that are given: by the seller's backend, by an operator, and to new customers."""
