"""Builds the objects of a container once: settings, secrets, clients."""
