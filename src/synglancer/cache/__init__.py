"""Files on this machine: answers that are reused, receipts, and how files are written."""
