"""The sandbox as a process in the foreground or the background."""
