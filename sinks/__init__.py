"""From joined traces to Zipkin and Elasticsearch."""
