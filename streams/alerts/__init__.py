"""The alerts: errored traces in, problems and their alerts out."""
