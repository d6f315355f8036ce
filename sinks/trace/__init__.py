"""`tracelink trace`: shows one trace from Elasticsearch."""
