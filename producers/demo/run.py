"""Runs the demo: pipeline, shop, load and view; at the end the check."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

import click
import orjson
import urllib3
from rich.console import Console

from pipeline.local.options import Request
from pipeline.local.pipeline import Pipeline, pipeline
from pipeline.runtime.signals import INTERRUPTED
from producers.demo.check import Found, Queries, Verdict, judge
from producers.demo.errored import ErroredTraces, TraceLinks, lines
from producers.demo.figures import figures, scrape
from producers.demo.load import Load, load
from producers.demo.shop import Shop, shop
from producers.demo.view import View

_DEFAULTS = {"TRACELINK_IDLE_GAP": "2"}
_TICK_SECONDS = 0.1
_SCRAPE_SECONDS = 1.0
_CHECK_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0


class _Session:
    """The running parts of the demo, and the loop that watches them."""

    def __init__(self, running: Pipeline, services: Shop, customers: Load, errored: ErroredTraces, view: View) -> None:
        self.running = running
        self.customers = customers
        self.errored = errored
        self.flagged: set[str] = set()
        self._services = services
        self._view = view
        self._links = TraceLinks(running.page, running.endpoints.zipkin.rstrip("/"))
        self._next_scrape = 0.0

    def run_until(self, until: Callable[[], bool]) -> bool:
        """Loop until a condition holds; returns False if stopped before."""
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_SECONDS) as pool:
            while not self.running.stop.is_set():
                self._step(pool, time.monotonic())
                if until():
                    return True
                time.sleep(_TICK_SECONDS)
        return False

    def _step(self, pool: urllib3.PoolManager, now: float) -> None:
        self.running.tick()
        self._services.supervisor.tick()
        for one in self.errored.poll():
            self.flagged.add(one.trace_id)
            self._view.errored(lines(one, self._links))
        if now >= self._next_scrape:
            self._next_scrape = now + _SCRAPE_SECONDS
            urls = self.running.urls
            gateway, join, alerts = (scrape(pool, urls[name]) for name in ("gateway", "join", "alerts"))
            sinks = {name: scrape(pool, url) for name, url in urls.items() if name.startswith("sink-")}
            self._view.show(figures(self.customers, gateway, join, alerts, sinks), now)


def run(request: Request, *, limit: int | None, rate: float, within: float, as_json: bool) -> int:
    """Run until Ctrl-C, or with a `limit` until that many requests are checked; returns the exit code.

    `rate` is in requests a second. The check may take `within` seconds after the last request.
    """
    progress = Console(stderr=True, highlight=False, markup=False, emoji=False)
    # With --json, standard output has nothing but the JSON.
    console = progress if as_json else Console(highlight=False, markup=False, emoji=False)

    def notice(name: str, text: str) -> None:
        console.print(f"{name} {text}", style="bold red", soft_wrap=True)

    with ExitStack() as stack:
        running = stack.enter_context(pipeline(request, progress, defaults=_DEFAULTS, notice=notice))
        gateway = f"http://{running.gateway}"
        services = stack.enter_context(shop(running.services, gateway, running.logs, notice=notice))
        progress.print("starting gateway, join, alerts, sinks, page and shop")
        if not all(one.wait_until_ready(running.stop) for one in (running.supervisor, services.supervisor)):
            return INTERRUPTED
        errored = stack.enter_context(ErroredTraces(running.settings))
        customers = stack.enter_context(load(services.url, rate=rate, limit=limit))
        places = (
            f"page {running.page} · Zipkin {running.endpoints.zipkin}/zipkin/ · logs of all processes {running.logs}"
        )
        footer = f"{places} · Ctrl-C to stop"
        session = _Session(running, services, customers, errored, stack.enter_context(View(console, footer)))
        if limit is None:
            session.run_until(lambda: False)
            return 0
        verdict = _check(session, within)
    if verdict is None:
        return INTERRUPTED
    _print(verdict, as_json=as_json)
    return 1 if verdict.problems else 0


def _check(session: _Session, within: float) -> Verdict | None:
    """Wait until all requests were sent, then until the check passes or its time is up; None if stopped before."""
    if not session.run_until(lambda: session.customers.done):
        return None
    latest: list[Verdict] = []
    next_look, last_look = 0.0, time.monotonic() + within

    def settled() -> bool:
        nonlocal next_look
        now = time.monotonic()
        if now < next_look:
            return False
        latest[:] = [_look(session, queries)]
        next_look = time.monotonic() + _CHECK_SECONDS
        return not latest[0].problems or now > last_look

    with Queries(session.running.settings) as queries:
        return latest[0] if session.run_until(settled) else None


def _look(session: _Session, queries: Queries) -> Verdict:
    requests, unanswered = session.customers.answered, session.customers.unanswered
    failed = [one.trace_id for one in requests if one.failed]
    # In this order: an errored trace is in `error-traces` before it is in Elasticsearch.
    joined = queries.joined([one.trace_id for one in requests])
    is_read = session.errored.is_read()
    found = Found(
        joined=joined,
        flagged=session.flagged,
        flagged_are_all=is_read,
        spans={trace_id: queries.spans(trace_id) for trace_id in failed},
        lines=queries.lines(failed),
    )
    return judge(requests, unanswered, found)


def _print(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(asdict(verdict), option=orjson.OPT_INDENT_2))
        return
    failed = verdict.failed
    click.echo(f"{verdict.requests} requests, {failed} failed; {verdict.joined} joined completely")
    click.echo(f"flagged as errored          {verdict.flagged} of {failed}, and {verdict.flagged_wrongly} wrongly")
    click.echo(f"all spans in Zipkin         {verdict.in_zipkin} of {failed}")
    click.echo(f"all lines in Elasticsearch  {verdict.in_elasticsearch} of {failed}")
    for problem in verdict.problems:
        click.echo(f"WRONG: {problem}")
    click.echo("The check failed." if verdict.problems else "The check passed.")
