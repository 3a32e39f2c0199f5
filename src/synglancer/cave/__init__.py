"""The CAVE services: sessions, queries, metadata, tokens and HTTP."""
