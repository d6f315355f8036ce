"""The peers of the product: the limit of what is possible, and the usual alternatives."""
