"""Replay: a stretch of the past is copied to topics of its own, for a join and sinks of its own."""
