"""What a sink is, and what runs it."""
