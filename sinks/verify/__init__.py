"""`tracelink verify`: compares Kafka with the stores by ids, finds gaps, and prints the replay that fills them."""
