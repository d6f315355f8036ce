"""`tracelink send`: publishes files of spans and log lines to Kafka."""
