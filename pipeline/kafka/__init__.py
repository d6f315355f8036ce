"""Access to Kafka: topics, offsets, readers, transactions."""
