"""Log lines over HTTP: JSON lines, JSON arrays or text, one file's content a request."""

from collections import Counter
from http import HTTPStatus
from io import BytesIO

import orjson

from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.file_bytes import utf8_lines
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_lines import LogLine, read_log_lines
from pipeline.formats.log_record import LineReader
from producers.gateway.protocol import JSON, Answer, Encoder, Request, Taken
from tracelink.model.records import LogRecord


class Lines:
    """`/v1/lines`: the reader of log lines takes whatever `tracelink send --logs` takes, in any content type.

    A line without a time takes that of the line before it, and the first ones take the time of arrival.
    """

    protocol = "lines"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def decode(self, request: Request) -> Taken:
        """Return the log lines of a request; its digest makes their ids, so that a repeat has the same."""
        digest = request.digest
        reader = LineReader(self._encoder.rule, request.received)
        decoded: Decoded[LogRecord] = Decoded([], [], Counter())
        for number, line in enumerate(read_log_lines(utf8_lines(BytesIO(request.body)))):
            if number == self._encoder.most_records:
                raise TooManyRecords(f"a request may have at most {self._encoder.most_records} lines")
            try:
                decoded.records.append(_record(line, reader, digest))
            except InvalidInput as error:
                decoded.invalid.append(error.at(f"line {line.number}"))
        return self._encoder.logs(decoded)

    def accepted(self, request: Request, taken: Taken, too_large: int) -> Answer:  # noqa: ARG002 - the protocol's
        """Return the numbers of lines taken and refused, and why; 400 if none was taken."""
        refused = taken.invalid + too_large
        status = HTTPStatus.BAD_REQUEST if refused and refused == taken.records else HTTPStatus.OK
        body: dict[str, object] = {"taken": taken.records - refused, "refused": refused}
        if refused:
            body["error"] = taken.refusal(too_large)
        return Answer(status, orjson.dumps(body) + b"\n", JSON)

    def refused(self, content_type: str, status: HTTPStatus, detail: str) -> Answer:  # noqa: ARG002 - as JSON always
        """Return the error as JSON."""
        return Answer(status, orjson.dumps({"taken": 0, "error": detail}) + b"\n", JSON)


def _record(line: LogLine, reader: LineReader, digest: str) -> LogRecord:
    if isinstance(line.entry, InvalidInput):
        raise line.entry
    return reader.read(line.entry, line.identity(digest))
