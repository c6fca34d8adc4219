"""Audits the books: recomputes accounts from their rows, and repairs what a restore has lost."""
