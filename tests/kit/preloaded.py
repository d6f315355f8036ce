"""What the commands import once they run, for processes that are to be forked with all of it."""
# ruff: noqa: F401 - to have been imported

import producers.canary.process
import producers.gateway.process
import producers.send.send
import sinks.alerting.alertmanager
import sinks.alerting.webhook
import sinks.base.process
import sinks.elasticsearch.sink
import sinks.elasticsearch.span_metrics
import sinks.verify.run
import sinks.zipkin.sink
import streams.alerts.handler
import streams.alerts.metrics
import streams.alerts.rules
import streams.app
import streams.dead_letters.execution
import streams.join.handler
import streams.join.metrics
import streams.replay.session
import streams.trends.process
from pipeline.cli.root import main

# Loads every command.
main.get_help(main.make_context("tracelink", [], resilient_parsing=True))
