"""What tests of several packages share: records to send, processes, models, and ways to wait."""
