"""From what a user types to a root ID that is valid at the version."""
