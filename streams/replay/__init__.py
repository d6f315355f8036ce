"""Replay: copies a past time range of the inputs to a job's topics, for a join and sinks of the job."""
