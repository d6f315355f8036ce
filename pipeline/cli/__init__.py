"""The command line: its root, and code that the commands share."""
