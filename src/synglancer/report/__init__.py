"""Reports on many links: numbers, pages and tables."""
