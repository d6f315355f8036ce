"""Commands for dead letters: list them, show the faulty byte, redrive or discard them."""
