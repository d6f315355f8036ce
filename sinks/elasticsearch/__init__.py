"""From joined traces to Elasticsearch: a document for each log line and for each part of a trace."""
