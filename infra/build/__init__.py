"""Builds the artifact that Lambda runs, and lists what is in it."""
