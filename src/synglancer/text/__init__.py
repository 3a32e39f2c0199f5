"""Handle text from outside in messages: make it printable, cut it, quote it, find similar names."""
