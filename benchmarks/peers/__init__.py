"""What the product is measured beside: the limit of what is possible, and what people would use instead."""
