"""Read published sources from a folder or from a server."""
