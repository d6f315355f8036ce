"""The limit: a bare loop that posts bulk bodies, made in advance, over persistent connections.

usage: python -m benchmarks.peers.bulk URL FOLDER CONNECTIONS

FOLDER has a file NAME.ndjson for each body. It prints the number of documents that are written.
"""

import http.client
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from benchmarks.peers.saying import rest

_LINES = 2  # of a document: the action and the source


class Progress:
    """Prints the number of documents that are written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written = 0

    def add(self, documents: int) -> None:
        """Count further documents."""
        with self._lock:
            self._written += documents
            print(self._written, flush=True)  # noqa: T201 - its answer


def post(address: str, bodies: "SimpleQueue[bytes]", progress: Progress) -> None:
    """Post bodies until none is left, over a connection of its own."""
    connection = http.client.HTTPConnection(address)
    while True:
        try:
            body = bodies.get_nowait()
        except Empty:
            return
        connection.request("POST", "/_bulk?filter_path=errors", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        if answer.read() != b'{"errors":false}':
            raise RuntimeError(f"Elasticsearch does not take the documents: {answer.status}")
        progress.add(body.count(b"\n") // _LINES)


def main(url: str, folder: Path, connections: int) -> None:
    """Post the bodies of the folder."""
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for file in sorted(folder.glob("*.ndjson")):
        bodies.put(file.read_bytes())
    print(0, flush=True)  # noqa: T201 - it begins
    progress = Progress()
    threads = [
        threading.Thread(target=post, args=(urlsplit(url).netloc, bodies, progress), daemon=True)
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rest()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
