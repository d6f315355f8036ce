"""The Zipkin sink: writes the spans of joined traces."""
