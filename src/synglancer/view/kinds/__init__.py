"""How each further kind of link looks: what it shows → its state."""
