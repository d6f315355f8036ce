"""From joined traces to Zipkin: the spans."""
