"""Records from and to JSON, text lines of the usual log layouts, and exceptions in both. Pure."""
