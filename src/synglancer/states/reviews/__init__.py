"""What reviewers mark in a viewer: written into a state, and read back from it."""
