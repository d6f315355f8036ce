"""The streams: from spans and logs to traces, problems and alerts, from topic to topic.

Three long-running processes are Faust workers. Two of them commit their output and their offsets in one transaction.
`tracelink join` (`join/`) reads `spans` and `logs`, and writes `traces`, `error-traces`, `dead-letters` and its
journal. `tracelink alerts` (`alerts/`) reads `error-traces`, and writes `errors`, `problems`, `alerts` and
`dead-letters`; it reads `errors` and `problems` back. The third, `tracelink trends` (`trends/`), is a Faust app with
agents and tables: it counts `errors` and `dead-letters` by minute, and writes the curves to `trends`. Two tools run at
a terminal: `replay/` copies a range of the inputs to topics of its own, for a join and sinks of its own;
`dead_letters/` shows dead letters and sends them to where they came from.

Start reading in `join/window.py` and `join/partition.py`, which are pure; then `join/handler.py`, which gives them the
messages, and `worker/engine.py`, which runs the handler. To add a process, write a handler (`worker/handler.py` defines
it) and call `app.run_worker` with it; add its topics to `pipeline/kafka/topic_specs.py`, and its settings and its
command to the entry points in pyproject.toml.
"""
