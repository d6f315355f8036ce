"""The command line: its root, and what the commands share."""
