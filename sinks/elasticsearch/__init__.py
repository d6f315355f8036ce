"""The Elasticsearch sink: writes a document for each log line, part of a trace, and problem."""
