"""What the sandbox serves: data folders, tables, and queries on them."""
