"""The local stack: real Kafka, Zipkin and Elasticsearch on this machine, without Docker or an installed Java."""
