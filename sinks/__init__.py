"""The sinks: each writes to one kind of target, as a process and a consumer group of its own.

`tracelink sink zipkin` reads the topic `traces`; `sink elasticsearch` also `unlinked-logs` and `problems`. `sink
webhook` reads `alerts`, `sink alertmanager` also `problems` (both in `alerting/`). Invalid messages, and records that
a target refuses, go to `dead-letters`, in one transaction with the offsets of their batch. `tracelink trace` asks
Elasticsearch for a trace; `tracelink verify` compares the topics with what Elasticsearch and Zipkin have.

Start with `base/contract.py` (what a sink promises), then `base/runner.py` (poll, decode, write, commit), then
`zipkin/`, the smallest sink with a server: `sink.py` and `client.py`.

To add a sink: a package with `settings.py` (a subclass of SinkSettings), `client.py` (requests, and which answers are
Unavailable, Refused, InvalidRecord) and `sink.py` (`write`, `check`, `close`); its command in `commands.py`; its
settings among the entry points in pyproject.toml; a target in `tests/kit/sink_targets.py`, for the contract suite.
"""
