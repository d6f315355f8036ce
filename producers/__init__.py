"""The producers: commands that write spans and logs to Kafka, as services do with the SDK.

`tracelink gateway` takes OTLP, Zipkin and log lines over HTTP and gRPC (`gateway/`). `tracelink send` publishes files
of spans and log lines (`send/`). `tracelink demo` starts a pipeline and a small shop of instrumented services, and
checks that each failed request was found (`demo/`). `tracelink canary` is a probe (`canary/`): it publishes a trace
that fails on purpose, and measures the time until it reaches each stage.

They write the topics `spans`, `logs` and `unlinked-logs`. The demo and the canary also read the output topics of the
join, and query Elasticsearch and Zipkin for their traces (`stores.py`).

Start reading in `canary/trace.py`, which makes records and publishes them, in `send/send.py` for files, or in
`gateway/http_app.py` for requests. To add a producer, write a package whose `commands.py` is an entry point in
pyproject.toml, and publish with the SDK's `KafkaPublisher`, as `canary/probe_runner.py` does.
"""
