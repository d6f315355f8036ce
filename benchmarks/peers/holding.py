"""The windows of one partition in a process of their own: the memory of open traces, or of errored ids.

usage: python -m benchmarks.peers.holding TRACES RECORDS

Prints the bytes a trace without the messages' own. With RECORDS 0 it remembers errored ids and prints the bytes an id.
"""

import ctypes
import sys
from hashlib import blake2b
from pathlib import Path

from streams.join.journal import Ledger
from streams.join.window import LOGS, SPANS, Window, WindowLimits

_PAGE = 4096
_MESSAGE_BYTES = 220
_LIMITS = WindowLimits(
    idle_gap=10**9, max_age=10**9, root_grace=None, max_records=10**6, max_bytes=10**9, max_record_bytes=10**6
)


def _resident() -> int:
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _key(number: int) -> bytes:
    return blake2b(number.to_bytes(8), digest_size=16).hexdigest().encode()


def main(traces: int, records: int) -> None:
    """Fill the windows or the ledger, and print the memory that they take."""
    before = _resident()
    if not records:
        ledger = Ledger(late_for=600_000)
        for number in range(traces):
            ledger.remember(_key(number), number)
    window = Window(0, _LIMITS)
    offset = 0
    for _ in range(records):
        for number in range(traces):
            # As messages come: each with objects of its own.
            kind = LOGS if offset // traces % 2 else SPANS
            message = offset.to_bytes(8) + bytes(_MESSAGE_BYTES - 8)
            window.add([(10**12 + offset // 50, kind, offset, _key(number), 0, message)])
            offset += 1
    print((_resident() - before - offset * _MESSAGE_BYTES) // traces, flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
