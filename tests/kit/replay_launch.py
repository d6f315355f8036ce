"""`python -m tests.kit.replay_launch POINT:N… -- ARGUMENTS…` is `tracelink replay …`, killed again and again.

For each POINT:N a process runs `tracelink ARGUMENTS…` that dies when it gets to the point for the Nth time; all but the
first go on with the job, and so does the last, which nothing kills. Says how each has ended. They are forked, for most
of a start is the imports.
"""

import os
import sys
from collections.abc import Sequence

import streams.replay.session  # noqa: F401 - what the command imports once it runs
from pipeline.cli.root import main
from pipeline.failpoints import Failpoint, install
from streams.replay import copy, jobs
from tests.kit.replay_traffic import NO_END

KILLED = 9


def _run(arguments: Sequence[str], point: Failpoint | None, left: int) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def hook(reached: Failpoint) -> None:
        nonlocal left
        left -= reached is point
        if reached is point and not left:
            os._exit(KILLED)

    # Many transactions of few records.
    vars(copy).update(_COMMIT_EVERY=0.0, _FIRST_SLICE=50)
    # The records of these tests are still to come.
    setattr(jobs.Jobs, "now", lambda _: NO_END)  # noqa: B010 - a method, which may not be assigned to
    install(hook)
    main(arguments)
    raise AssertionError("a command ends the process")


if __name__ == "__main__":
    kills = sys.argv[1 : sys.argv.index("--")]
    options = sys.argv[sys.argv.index("--") + 1 :]
    job, first = options[0], options[1:]
    place = first[first.index("--kafka-bootstrap-servers") :]
    begin = ["replay", "--job", job, *first]
    for kill in kills:
        name, number = kill.split(":")
        print(_run(begin, Failpoint(name), int(number)), flush=True)  # noqa: T201 - what the test reads
        begin = ["replay", "--resume", job, *place]
    print(_run(begin, None, 0), flush=True)  # noqa: T201 - as above
