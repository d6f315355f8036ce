"""The sinks: each writes to one kind of target, as a process and a consumer group of its own.

`tracelink sink zipkin` reads the topic `traces`; `sink elasticsearch` also reads `unlinked-logs` and `problems`. `sink
webhook` reads `alerts`, `sink alertmanager` also `problems` (both in `alerting/`). Invalid messages, and records that
a target refuses, go to `dead-letters`, in one transaction with the offsets of their batch. `tracelink trace` asks
Elasticsearch for a trace; `tracelink verify` compares the topics with the contents of Elasticsearch and Zipkin.
`tracelink page` shows problems and traces as web pages (`page/`): it reads the topic `problems` and Elasticsearch, and
writes nothing.

Start reading in `base/contract.py` (the promises of a sink), then `base/runner.py` (poll, decode, write, commit), then
`zipkin/`, the smallest sink with a server: `sink.py` and `client.py`. Of the page, start with `page/waterfall.py` (a
trace as rows), then `page/views.py`. CONTRIBUTING.md says how to add a sink.
"""
