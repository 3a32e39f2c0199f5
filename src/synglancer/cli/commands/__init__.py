"""The commands, one file each: options, what is printed, exit codes."""
