"""What lies in the topics beside spans and log records. Pure."""
