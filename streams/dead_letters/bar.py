"""A progress bar for the reading of dead letters."""

from collections.abc import Generator, Iterable

from pipeline.cli.progress_bar import bars
from streams.dead_letters.letter import Letter
from streams.dead_letters.topic import LettersTopic


def with_bar(topic: LettersTopic, what: str, reads: Iterable[list[Letter]]) -> Generator[Letter]:
    """Yield the letters of reads one by one; a bar shows how far they are."""
    with bars() as tell:
        for read in reads:
            tell(what, topic.done, topic.total)
            yield from read
