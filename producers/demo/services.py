"""The five services of the shop, as Flask applications that call each other over HTTP.

    frontend ─► checkout ─┬─► inventory ─► shipping
                          └─► payment

They do not use tracelink: OpenTelemetry's instrumentation and the handlers of `logging` record their spans and log
lines, and `telemetry.py` sends them.
"""

import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import requests
from flask import Flask, Response, request
from opentelemetry import trace

_TIMEOUT_SECONDS = 10
_PRICES = {"lamp": 49.90, "chair": 120.00, "desk": 310.00, "shelf": 85.50}
_WEIGHTS = {"lamp": 2, "chair": 7, "desk": 28, "shelf": 15}
_GATEWAY = "https://pay.example/v2/authorize"

Peers = Mapping[str, str]
"""The base URLs of the services that a service calls, by name."""

TRACE_ID_HEADER = "X-Trace-Id"
FAILS_EVERY = 12
"""Number of charges of which the first fails."""


class GatewayError(Exception):
    """The card gateway did not authorize a charge."""


def frontend(peers: Peers) -> Flask:
    """Take orders from customers."""
    app, log = _application("frontend")

    @app.post("/orders")
    def order() -> tuple[dict[str, Any], int]:
        wanted = request.get_json()
        log.info("%s orders %d x %s", wanted["customer"], wanted["quantity"], wanted["item"])
        answer = requests.post(f"{peers['checkout']}/checkouts", json=wanted, timeout=_TIMEOUT_SECONDS)
        if not answer.ok:
            log.error("no order for %s: checkout answered %d", wanted["customer"], answer.status_code)
            return {"error": "Your order could not be placed. Please try again."}, 500
        log.info("order %s is placed", answer.json()["receipt"])
        return answer.json(), 201

    @app.after_request
    def name_trace(response: Response) -> Response:
        context = trace.get_current_span().get_span_context()
        response.headers[TRACE_ID_HEADER] = trace.format_trace_id(context.trace_id)
        return response

    return app


def checkout(peers: Peers) -> Flask:
    """Reserve the goods, then take the money."""
    app, log = _application("checkout")

    @app.post("/checkouts")
    def check_out() -> tuple[dict[str, Any], int]:
        wanted = request.get_json()
        reserved = requests.post(f"{peers['inventory']}/reservations", json=wanted, timeout=_TIMEOUT_SECONDS)
        reserved.raise_for_status()
        total = _PRICES[wanted["item"]] * wanted["quantity"] + reserved.json()["shipping"]
        log.info("the total is %.2f EUR", total)
        charge = {"customer": wanted["customer"], "amount": round(total, 2)}
        paid = requests.post(f"{peers['payment']}/charges", json=charge, timeout=_TIMEOUT_SECONDS)
        if not paid.ok:
            log.error("payment answered %d, reservation %s is given up", paid.status_code, reserved.json()["id"])
            return {"error": "payment failed"}, 502
        return paid.json(), 201

    return app


def inventory(peers: Peers) -> Flask:
    """Reserve goods, and get a shipping quote."""
    app, log = _application("inventory")
    numbers = count(1)

    @app.post("/reservations")
    def reserve() -> tuple[dict[str, Any], int]:
        wanted = request.get_json()
        parcel = {"weight": _WEIGHTS[wanted["item"]] * wanted["quantity"]}
        quote = requests.post(f"{peers['shipping']}/quotes", json=parcel, timeout=_TIMEOUT_SECONDS)
        quote.raise_for_status()
        number = f"R{next(numbers):05}"
        log.info("reserved %d x %s as %s", wanted["quantity"], wanted["item"], number)
        return {"id": number, "shipping": quote.json()["price"]}, 201

    return app


def shipping(_: Peers) -> Flask:
    """Return the shipping price of a parcel."""
    app, log = _application("shipping")

    @app.post("/quotes")
    def quote() -> dict[str, Any]:
        weight = request.get_json()["weight"]
        price = 4.90 + 0.55 * weight
        log.info("a parcel of %d kg costs %.2f EUR", weight, price)
        return {"price": round(price, 2)}

    return app


def payment(_: Peers) -> Flask:
    """Charge cards through a gateway that fails at regular intervals."""
    app, log = _application("payment")
    numbers = count(0)

    @app.post("/charges")
    def charge() -> tuple[dict[str, Any], int]:
        wanted = request.get_json()
        number = next(numbers)
        log.info("charging %.2f EUR to the card of %s", wanted["amount"], wanted["customer"])
        _authorize(number, wanted["amount"])
        return {"receipt": f"P{number:05}"}, 201

    return app


def _authorize(number: int, amount: float) -> None:
    """Simulate the gateway of a card company."""
    try:
        _send({"reference": number, "amount": amount, "currency": "EUR"})
    except TimeoutError as error:
        raise GatewayError(f"charge {number} of {amount:.2f} EUR was not authorized: {error}") from error


def _send(charge: dict[str, Any]) -> None:
    if charge["reference"] % FAILS_EVERY == 0:
        raise TimeoutError(f"{_GATEWAY} did not answer within 2 s")


def _application(name: str) -> tuple[Flask, logging.Logger]:
    """Return an application with a readiness endpoint, and its logger."""
    app = Flask(name)

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    return app, logging.getLogger(f"shop.{name}")


SERVICES: dict[str, Callable[[Peers], Flask]] = {
    "shipping": shipping,
    "inventory": inventory,
    "payment": payment,
    "checkout": checkout,
    "frontend": frontend,
}
