"""Getting spans and logs into Kafka: files, and the demo's shop."""
