"""Access to Kafka: properties of clients, names of topics, encoding of messages, errors."""
