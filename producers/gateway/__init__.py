"""The gateway: takes spans and log lines over HTTP, as tracers and loggers of other makers send them."""
