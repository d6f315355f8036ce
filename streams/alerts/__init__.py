"""From errored traces to problems, and to the alerts that tell of them."""
