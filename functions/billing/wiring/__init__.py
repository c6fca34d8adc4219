"""Creates the objects of a container once: settings, secrets and clients."""
