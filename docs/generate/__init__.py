"""The pages of docs/ that come from the code; `make docs` writes them, and a test compares them with the code."""
