"""How a service reaches Kafka: clients, topics, messages."""
