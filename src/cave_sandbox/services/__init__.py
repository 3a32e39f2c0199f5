"""The CAVE services that the sandbox answers for."""
