"""Audits accounts against their rows, and repairs what a restore has lost."""
