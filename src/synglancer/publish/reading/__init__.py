"""How published sources are read back: from a folder, or from a server."""
