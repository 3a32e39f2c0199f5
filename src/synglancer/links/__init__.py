"""The ordered steps that make a link, and many links."""
