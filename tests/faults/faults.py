"""The faults by name: each disturbs a running pipeline, sees that it did, and leaves the pipeline to go on."""

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from random import Random
from threading import Event

from pipeline.failpoints import Failpoint
from pipeline.runtime.watchdog import STUCK_EXIT_CODE
from tests.faults.fault import REACHED_SECONDS, Act, Fault, causing, kill_at, stop_at, terminate
from tests.faults.groupers import GROUPERS
from tests.faults.setting import SESSION_SECONDS, STUCK_SECONDS, Setting
from tests.kit import proxy
from tests.kit.children import Child
from tests.kit.http import http_request
from tests.kit.waiting import wait_for

_MOST_WORKERS = 4


FAULTS: dict[str, Fault] = {}


def _add(fault: Fault) -> None:
    FAULTS[fault.name] = fault


# Workers


def _worker(setting: Setting, chance: Random) -> Child:
    return chance.choice([worker for worker in setting.workers if worker.running])


def _kill_at(point: Failpoint) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        victim = _worker(setting, chance)
        stays_down = chance.random() < 0.5
        with setting.away(victim) if stays_down else nullcontext():
            kill_at(victim, point)
            setting.recovered(time.time())

    return act


_POINTS = {
    "join-polled": Failpoint.WORKER_POLLED,
    "join-mid-window": Failpoint.WORKER_ADVANCED,
    "join-before-produce": Failpoint.WORKER_BEFORE_JOURNAL,
    "join-produced": Failpoint.WORKER_PRODUCED,
    "before-commit": Failpoint.BEFORE_COMMIT,
    "join-committed": Failpoint.WORKER_COMMITTED,
}
for _name, _point in _POINTS.items():
    _add(Fault(f"kill-{_name}", f"kill -9 of a worker at {_point}", _kill_at(_point), times=20))


def _kill_in_rebalance(point: Failpoint) -> Act:
    """Have a worker leave or join, and kill another while the partitions move."""

    def act(setting: Setting, chance: Random) -> None:
        victim, other = chance.sample(setting.workers, 2)
        for worker in (victim, other):  # one that is no member yet would move nothing
            worker.wait_until_ready()
        with setting.away(other), causing(victim):
            victim.order(point, "KILL")
            other.kill()  # a static member that dies is missed after its session, and then the partitions move
            assert victim.wait(REACHED_SECONDS), f"{victim.name} did not come to {point}"
        setting.recovered(time.time())

    return act


for _name, _point in (("join-revoking", Failpoint.WORKER_REVOKING), ("join-assigning", Failpoint.WORKER_ASSIGNING)):
    _add(Fault(f"kill-{_name}", f"kill -9 of a worker at {_point}", _kill_in_rebalance(_point), times=20))


def _kill_recovering(setting: Setting, chance: Random) -> None:
    victim = _worker(setting, chance)
    with setting.away(victim), causing(victim):
        victim.kill()
        victim.start(Failpoint.WORKER_RESTORING)
        assert victim.wait(REACHED_SECONDS), f"{victim.name} did not read its journal"
    setting.recovered(time.time())


_add(Fault("kill-join-recovering", "kill -9 of a worker while it reads its journal", _kill_recovering, times=20))


def _zombie(point: Failpoint) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        victim = _worker(setting, chance)
        stop_at(victim, point)
        setting.recovered(time.time())
        log, said = victim.log, len(victim.output())
        victim.send(signal.SIGCONT)

        def noticed() -> bool:
            """Tell whether it knows that its partitions are others' now."""
            new = victim.output()[said:]
            return victim.log != log or any(word in new for word in ("fenced", "lost partitions", "aborted"))

        wait_for(f"{victim.name} to join anew or to end", noticed, seconds=REACHED_SECONDS)

    return act


for _name in ("join-polled", "join-before-produce", "join-produced", "before-commit"):
    _add(
        Fault(
            f"zombie-{_name}",
            f"SIGSTOP of a worker at {_POINTS[_name]} until others have its partitions, then SIGCONT",
            _zombie(_POINTS[_name]),
            times=20,
            gives_up=True,
        )
    )


def _hang(setting: Setting, chance: Random) -> None:
    """Have the loop hang: nobody notices but the worker's own watch, which ends it."""
    victim = _worker(setting, chance)
    with setting.away(victim):
        victim.order(Failpoint.WORKER_ADVANCED, "HANG")
        assert victim.wait(REACHED_SECONDS), f"{victim.name} hangs and does not end"
        assert not victim.running
        assert victim.ends[-1] == STUCK_EXIT_CODE, f"{victim.name} ended with {victim.ends[-1]}"
        setting.recovered(time.time())


_add(Fault("worker-hangs", "a worker's loop hangs: it ends itself after stuck_after", _hang, gives_up=True))


def _hang_between(setting: Setting, chance: Random) -> None:
    """Have a worker hang between two assignments: until it is out, its whole group waits for it to join again."""
    victim, other = chance.sample(setting.workers, 2)
    for worker in (victim, other):
        worker.wait_until_ready()
    victim.order(Failpoint.WORKER_REVOKING, "HANG")
    with setting.away(victim, other):
        other.kill()
        setting.recovered(time.time() + SESSION_SECONDS + STUCK_SECONDS)
        assert victim.wait(REACHED_SECONDS), f"{victim.name} hangs and does not end"
        assert not victim.running
        assert victim.ends[-1] == STUCK_EXIT_CODE, f"{victim.name} ended with {victim.ends[-1]}"


_add(
    Fault(
        "worker-hangs-between",
        "a worker's loop hangs between two assignments: it holds its group for no longer than stuck_after",
        _hang_between,
        gives_up=True,
    )
)


def _terminate_worker(setting: Setting, chance: Random) -> None:
    victim = _worker(setting, chance)
    victim.wait_until_ready()  # before, it has no handler of signals yet
    with setting.away(victim):
        terminate(victim)
    victim.wait_until_ready()


_add(Fault("terminate-worker", "SIGTERM of a worker: it drains within 15 s", _terminate_worker))


def _scale(setting: Setting, _: Random) -> None:
    """Go down to one worker, up to four, and down to two, which are not those of the beginning."""
    first, *others = setting.workers
    for worker in others:
        worker.wait_until_ready()
    with setting.away(*others):
        for worker in others:
            terminate(worker)
        setting.recovered(time.time())
    added = [setting.add_worker() for _ in range(_MOST_WORKERS - len(setting.workers))]
    for worker in setting.workers:
        worker.start()
    for worker in setting.workers:
        worker.wait_until_ready()
    setting.recovered(time.time())
    leaving = [first, *others][: _MOST_WORKERS - 2]
    with setting.away(*leaving):
        for worker in leaving:
            terminate(worker)
        setting.recovered(time.time())
    for worker in added:
        setting.left_alone.add(worker.name)
        terminate(worker)
        setting.remove(worker)


_add(Fault("scale", "workers to 1, to 4, to 2, under load", _scale))


def _two_at_once(setting: Setting, chance: Random) -> None:
    victims = chance.sample([worker for worker in setting.workers if worker.running], 2)
    with setting.away(*victims):
        for victim in victims:
            victim.kill()
        setting.recovered(time.time())


_add(Fault("two-workers-at-once", "kill -9 of two workers at once", _two_at_once))


def _static_restart(setting: Setting, chance: Random) -> None:
    """Restart every worker in turn, each back before its session is over."""
    for worker in chance.sample(setting.workers, len(setting.workers)):
        worker.kill()
        worker.start()
        worker.wait_until_ready()


_add(Fault("static-members-restart", "kill -9 of each worker in turn, back before its session ends", _static_restart))


for _fault in GROUPERS:
    _add(_fault)

# Sinks


def _kill_sink(target: str, point: Failpoint) -> Act:
    def act(setting: Setting, _: Random) -> None:
        victim = setting.sinks[target]
        victim.wait_until_ready()
        kill_at(victim, point)

    return act


for _target in ("elasticsearch", "zipkin"):
    for _point in (Failpoint.SINK_BEFORE_WRITE, Failpoint.SINK_WRITTEN, Failpoint.SINK_BEFORE_COMMIT):
        _add(
            Fault(
                f"kill-{_target}-{_point}",
                f"kill -9 of the {_target} sink at {_point}",
                _kill_sink(_target, _point),
                times=20,
            )
        )


def _terminate_sink(setting: Setting, chance: Random) -> None:
    victim = setting.sinks[chance.choice(["elasticsearch", "zipkin"])]
    victim.wait_until_ready()
    with setting.away(victim):
        terminate(victim)
    # What it had written is committed: its successor finds nothing of it in the target.
    wait_for(f"{victim.name} to write again", lambda: _outcome(victim, "written"))
    assert not _outcome(victim, "duplicate"), f"{victim.name} writes again what it had written before SIGTERM"


_add(Fault("terminate-sink", "SIGTERM of a sink: it drains within 15 s", _terminate_sink))

# Servers


def _server(name: str, *, kill: bool) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        with setting.server_away(name):
            (setting.servers.kill if kill else setting.servers.stop)(name)
            Event().wait(chance.uniform(0, 2))
            began = time.time()
        if name == "kafka":
            setting.recovered_from_start(began)

    return act


for _name in ("kafka", "elasticsearch", "zipkin"):
    for _kill in (True, False):
        _add(
            Fault(
                f"{_name}-{'kill' if _kill else 'restart'}",
                f"{'kill -9' if _kill else 'clean restart'} of {_name}",
                _server(_name, kill=_kill),
                times=6,
                own_servers=True,
                parts_differ=_name == "kafka",
                zipkin_loses=_name != "kafka",
                gives_up=_name == "kafka",
            )
        )


def _zipkin_away(setting: Setting, _: Random) -> None:
    """Keep Zipkin away while Elasticsearch's sink goes on as if nothing were."""
    setting.proxies["zipkin"].misbehave(proxy.refuse())
    try:
        before = _written(setting)
        wait_for("Elasticsearch's sink to go on", lambda: _written(setting) > before + 200)
        with causing():
            assert setting.proxies["zipkin"].seen["refuse"], "Zipkin's sink had nothing to send"
    finally:
        setting.proxies["zipkin"].behave()


_add(Fault("zipkin-away", "Zipkin is down for long; the Elasticsearch sink is not affected", _zipkin_away))


def _written(setting: Setting) -> float:
    """Return how many parts Elasticsearch's sink has written since its last start."""
    return _outcome(setting.sinks["elasticsearch"], "written")


def _outcome(sink: Child, outcome: str) -> float:
    """Return how many parts a sink counts under an outcome since its last start."""
    return sink.metrics().get(f'tracelink_sink_parts_total{{outcome="{outcome}",sink="{sink.name}"}}', 0.0)


# What Elasticsearch answers


def _answers(target: str, make: Callable[[Random], proxy.Mode], enough: int = 3) -> Act:
    def act(setting: Setting, chance: Random) -> None:
        one, mode = setting.proxies[target], make(chance)
        before = one.seen[mode.name]
        one.misbehave(mode)
        try:
            # A sink that was refused before may wait for a while until it tries again.
            with causing():
                wait_for(
                    f"{target}'s sink to meet {mode.name}", lambda: one.seen[mode.name] >= before + enough, seconds=60
                )
        finally:
            one.behave()

    return act


for _name, _about, _make in (
    ("429", "answers 429", lambda _: proxy.status(429)),
    ("503", "answers 503", lambda _: proxy.status(503)),
    ("413", "answers 413 to bodies of more than 20 kB", lambda _: proxy.status(413, larger_than=20_000)),
    ("slow", "answers seconds later than the sink waits", lambda _: proxy.slow(7)),
    ("cut", "writes, and cuts the connection", lambda _: proxy.cut(every=2)),
    ("half-answer", "writes, and sends half of its answer", lambda _: proxy.half_answer(every=2)),
    ("items", "refuses a third of the documents with 429", lambda chance: proxy.items(0.3, chance.getrandbits(32))),
):
    _add(
        Fault(
            f"elasticsearch-{_name}",
            f"Elasticsearch {_about}",
            _answers("elasticsearch", _make, 1 if _name == "slow" else 2),
        )
    )

for _name, _about, _make in (
    ("429", "answers 429", lambda _: proxy.status(429)),
    ("cut", "takes the spans, and cuts the connection", lambda _: proxy.cut(every=2)),
):
    _add(Fault(f"zipkin-{_name}", f"Zipkin {_about}", _answers("zipkin", _make, 1)))


def _unauthorized(setting: Setting, _: Random) -> None:
    """Answer 401: the sink ends loudly without a commit, again and again, until somebody mends the credentials."""
    one, victim = setting.proxies["elasticsearch"], setting.sinks["elasticsearch"]
    victim.wait_until_ready()
    one.misbehave(proxy.status(401))
    try:
        assert victim.wait(REACHED_SECONDS), "the sink goes on after 401"
        wait_for("the supervisor to start it again", lambda: setting.restarts[victim.name])
    finally:
        one.behave()


_add(Fault("elasticsearch-401", "Elasticsearch answers 401", _unauthorized, gives_up=True))


def _read_only(setting: Setting, _: Random) -> None:
    """Block writes to the indices, as a full disk does, until the sink has met that."""
    url = f"{setting.servers.endpoints.elasticsearch}/{setting.indices}*/_settings"
    sink = setting.sinks["elasticsearch"]

    def block(*, on: bool) -> None:
        answer = http_request("PUT", url, json={"index.blocks.write": on or None})
        assert answer.status == 200, answer.data

    with causing():
        wait_for("an index", lambda: _written(setting))
    retries = 'tracelink_sink_retries_total{sink="elasticsearch"}'
    before = sink.metrics().get(retries, 0.0)
    block(on=True)
    try:
        with causing():
            wait_for("the sink to meet the block", lambda: sink.metrics().get(retries, 0.0) > before)
    finally:
        block(on=False)


_add(Fault("elasticsearch-read-only", "Elasticsearch's indices are read-only for a while", _read_only))

# Traffic

for _name, _about, _shape in (
    ("poison", "invalid messages of every kind", lambda shape: replace(shape, poison=True)),
    ("duplicates", "a third of the messages come twice", lambda shape: replace(shape, duplicates=0.5)),
    ("shuffled", "records of a trace in any order, just within the window", lambda shape: replace(shape, spread=1.2)),
    ("late", "a third of the traces come back after their window", lambda shape: replace(shape, late=0.3)),
    ("late-errors", "a third of the traces err late, twice", lambda shape: replace(shape, late_errors=0.3)),
    (
        "still-logs",
        "no log lines arrive",
        lambda shape: replace(shape, logs_until=shape.seconds / 4),
    ),
):
    _add(Fault(_name, _about, shape=_shape))
