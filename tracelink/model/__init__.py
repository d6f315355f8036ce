"""Records, and how they lie in messages: Avro under the schemas beside this."""
