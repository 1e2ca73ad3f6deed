"""The integration's parent package: first on the path, before any other of this name."""
