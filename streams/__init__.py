"""From spans and logs to traces and alerts: what reads topics and writes topics.

Two long-running processes, Faust workers that commit what they write with their offsets in one Kafka transaction:
`tracelink join` (`join/`) reads spans and logs, and writes traces, error-traces, dead-letters and its journal;
`tracelink alerts` (`alerts/`) reads error-traces, and writes errors, problems and alerts. Two tools at a terminal:
`replay/` copies a range of the inputs to topics of its own, for a join and sinks of its own; `dead_letters/` shows dead
letters, and sends them back to where they came from.

Start reading in `join/window.py` and `join/partition.py`, which are pure; `join/handler.py` gives them what comes, and
`worker/engine.py` runs it. One more process needs: its topics in `pipeline/kafka/topic_specs.py`, its settings and its
command as entry points in pyproject.toml, and a handler (`worker/handler.py` says what that is) for `app.run_worker`.
"""
