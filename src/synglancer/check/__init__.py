"""Links in documents: found, checked and repaired."""
