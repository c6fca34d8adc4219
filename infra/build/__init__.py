"""Builds the artifact that Lambda runs."""
