"""Data folders, their tables, and queries on them."""
