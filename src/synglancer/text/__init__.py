"""Words from outside in messages: made printable, cut, quoted, and compared with known names."""
