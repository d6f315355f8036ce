"""The producers: commands that write spans and logs to Kafka, beside the services that do so with the SDK.

`tracelink send` publishes files of spans and log lines (`send/`). `tracelink demo` starts a pipeline and a small shop
of instrumented services, and checks what became of each request (`demo/`). `tracelink canary` is a probe (`canary/`):
it publishes a trace that fails on purpose, and measures when it reaches each stage.

They write the topics `spans`, `logs` and `unlinked-logs`. The demo and the canary also read the topics behind the
join, and ask Elasticsearch and Zipkin for their traces (`stores.py`).

Start with `canary/trace.py`, which makes records and publishes them, or with `send/send.py` for files. To add a
producer: a package whose `commands.py` is among the entry points in pyproject.toml and publishes with the SDK's
`KafkaPublisher`, as `canary/flight.py` does.
"""
