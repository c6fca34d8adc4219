"""Creates the objects that all requests share: settings, secrets, clients."""
