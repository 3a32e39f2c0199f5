"""The steps that make a link, and batches of links."""
