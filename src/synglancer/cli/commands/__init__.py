"""The commands, one per file: their options, output and exit codes."""
