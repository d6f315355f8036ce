"""The join: spans and logs in, traces out."""
