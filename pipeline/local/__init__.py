"""The local stack (real Kafka, Zipkin and Elasticsearch without Docker or an installed Java), and `tracelink up`."""
