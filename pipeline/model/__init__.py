"""The messages of topics other than spans and log records: parts, problems, dead letters, replay markers. Pure."""
