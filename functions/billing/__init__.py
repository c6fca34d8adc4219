"""The product: what settles a payment, keeps the books and spends the quota. Imports point one way, see docs/decisions.md."""
