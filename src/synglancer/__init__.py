"""synglancer."""
