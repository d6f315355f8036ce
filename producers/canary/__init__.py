"""A trace that fails on purpose, sent again and again, and followed through everything that there is."""
