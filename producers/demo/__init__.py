"""The demo: a small shop of five services, a load generator, a live view, and a check of the results."""
