"""`tracelink trace`: one trace, as Elasticsearch has it."""
