"""The join of spans and logs by trace id, a Faust worker."""
