"""What tests of several parts share: records to send, and ways to wait."""
