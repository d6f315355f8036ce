"""Senders in Java: `jars` has their libraries, `program` uses them in a process of its own, `calling` starts it."""
