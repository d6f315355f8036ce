"""The join: spans and logs in, traces out. All decisions are pure code; `handler.py` is the shell."""
