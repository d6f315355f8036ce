"""What Kafka holds against what the stores hold, by ids: the holes, and the replay that fills them."""
