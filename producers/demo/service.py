"""The process of one service: `python -m producers.demo.service NAME DESCRIPTOR PEERS GATEWAY`.

DESCRIPTOR is the file descriptor of a listening socket that the process inherits, so that its port is known before it
starts. PEERS is a JSON object with the base URLs of the other services, GATEWAY the URL of `tracelink gateway`. On
SIGTERM it sends its last records and ends.
"""

import json
import logging
import signal
import sys
from typing import NoReturn

from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from werkzeug.serving import make_server

from producers.demo.services import SERVICES
from producers.demo.telemetry import sending


def main() -> None:
    """Serve until SIGTERM."""
    name, descriptor, peers, gateway = sys.argv[1:]
    signal.signal(signal.SIGTERM, _end)
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # Its line for each request repeats the span.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with sending(name, gateway):
        application = SERVICES[name](json.loads(peers))
        FlaskInstrumentor().instrument_app(application, excluded_urls="readyz")  # type: ignore[no-untyped-call]  # it has no annotations
        RequestsInstrumentor().instrument()
        make_server("127.0.0.1", 0, application, threaded=True, fd=int(descriptor)).serve_forever()


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
