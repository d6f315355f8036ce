"""What our own processes share: the model, formats, analysis, access to Kafka, their runtime, the command line."""
