"""The join: spans and logs in, traces out. All that decides is pure; `handler.py` is its shell."""
