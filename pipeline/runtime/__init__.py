"""What a process of ours has around its work: log, metrics and health, watchdog, HTTP."""
