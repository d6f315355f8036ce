"""Access to Kafka: topics, offsets, readers outside of groups, transactions."""
