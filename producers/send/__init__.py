"""`tracelink send`: files of spans and log lines into Kafka."""
