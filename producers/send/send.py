"""Sends files: reads records, merges them by time, sends them, and waits for the answers."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.cli.input_file import InputFile, Refusal
from pipeline.kafka.admin import connect
from producers.send.delivery import Counts, Delivery, require_topics
from producers.send.records import Parser, in_order
from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import ErrorRule
from tracelink.settings import PublisherSettings

_SHOWN_REFUSALS = 10
_DRAW_SECONDS = 0.1
# Time to send the buffer after Ctrl-C; an unavailable broker must not block the user.
_LAST_SECONDS = 10.0


@dataclass(slots=True)
class SendResult:
    """The result of sending files; `shown` has the first refusals.

    `formats` has the numbers of spans in other formats than Zipkin v2, `compressed` the compression of each file that
    has one.
    """

    counts: Counts
    compressed: dict[str, str] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    shown: list[Refusal] = field(default_factory=list)
    interrupted: bool = False

    def refuse(self, refusal: Refusal) -> None:
        """Count a refusal, and keep the first few."""
        self.refused[refusal.reason] = self.refused.get(refusal.reason, 0) + 1
        if len(self.shown) < _SHOWN_REFUSALS:
            self.shown.append(refusal)


def send_files(
    spans: Iterable[Path], logs: Iterable[Path], settings: PublisherSettings, *, rate: float | None = None
) -> SendResult:
    """Send the records of files in the order of their times; on Ctrl-C send only the buffered ones.

    Raises UserError if a file cannot be opened, Kafka does not answer, or a topic is missing.
    """
    with ExitStack() as opened:
        span_sources = [_opened(path, opened) for path in spans]
        log_sources = [_opened(path, opened) for path in logs]
        require_topics(connect(settings), settings)
        delivery = Delivery(settings, rate=rate)
        outcome = SendResult(delivery.counts)
        parser = Parser(
            RecordEncoder(TopicNames(settings.topic_prefix)),
            ErrorRule(http_status=settings.error_http_status),
            int(settings.max_record_bytes),
        )
        with _progress([*span_sources, *log_sources], delivery) as draw:
            try:
                for found in in_order(
                    [
                        *(parser.spans(source.items()) for source in span_sources),
                        *(parser.logs(source.log_lines(), source.modified) for source in log_sources),
                    ]
                ):
                    if isinstance(found, Refusal):
                        outcome.refuse(found)
                    else:
                        delivery.send(found.message)
                    draw()
                while not delivery.wait(_DRAW_SECONDS):
                    draw()
            except KeyboardInterrupt:
                outcome.interrupted = True
                if not delivery.wait(_LAST_SECONDS):
                    delivery.give_up()
        outcome.formats = dict(parser.formats)
        for source in (*span_sources, *log_sources):
            if source.compression is not None:
                outcome.compressed[str(source.path)] = source.compression
    return outcome


def _opened(path: Path, opened: ExitStack) -> InputFile:
    source = InputFile(path)
    opened.callback(source.close)
    return source


class _Draw:
    """Updates the progress bar, at most ten times a second."""

    def __init__(self, progress: Progress, sources: list[InputFile], delivery: Delivery) -> None:
        sizes = [source.size for source in sources]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        self._task = progress.add_task("sending", total=total)
        self._progress = progress
        self._sources = sources
        self._delivery = delivery
        self._next = 0.0

    def __call__(self) -> None:
        now = monotonic()
        if now < self._next:
            return
        self._next = now + _DRAW_SECONDS
        done = sum(source.read for source in self._sources)
        text = f"{sum(self._delivery.counts.sent.values()):,} records, {self._delivery.waiting:,} not acknowledged yet"
        self._progress.update(self._task, completed=done, description=text)


@contextmanager
def _progress(sources: list[InputFile], delivery: Delivery) -> Iterator[_Draw]:
    columns = (SpinnerColumn(), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Draw(progress, sources, delivery)
