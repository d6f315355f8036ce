"""The runtime of our processes: logging, metrics and health, signals, watchdog, HTTP, child processes."""
