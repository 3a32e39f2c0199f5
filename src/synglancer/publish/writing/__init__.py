"""The passes over all rows, as tasks that any process can do, and where these run."""
