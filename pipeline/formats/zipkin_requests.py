"""Spans of requests to Zipkin's addresses: JSON of v2 and v1, and zipkin.proto3."""

from collections import Counter
from typing import Any

from google.protobuf.message import DecodeError

from pipeline.formats import zipkin_v1
from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.request_bytes import request_json
from pipeline.formats.zipkin_json import parse_span
from pipeline.formats.zipkin_messages import ListOfSpans, SpanMessage
from pipeline.formats.zipkin_proto import parse_message, repaired
from tracelink.model.records import ErrorRule, Span

# An annotation takes two bytes in a request, and a hundred times as many when it is read.
_ANNOTATIONS = 20
"""The annotations that a span may have on average, if there are as many spans as allowed."""


def spans_of_json(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a JSON array of Zipkin's v2 or v1 spans; nothing and an empty array are empty requests.

    Raises InvalidInput for another body, and TooManyRecords for an array of more than `most` elements. A v1 span
    becomes a span for each of its hosts. `rule` decides which spans are errored.
    """
    found: Decoded[Span] = Decoded([], [], Counter())
    elements = request_json(body, found.notes) if body.strip() else []
    if not isinstance(elements, list):
        shape = "an object" if isinstance(elements, dict) else shown(elements)
        raise InvalidInput("no array", f"Zipkin takes an array of spans, not {shape}")
    _check(len(elements), most, "spans")
    for place, element in enumerate(elements):
        for span in _spans(element, rule):
            if isinstance(span, InvalidInput):
                found.invalid.append(span.at(f"[{place}]"))
            else:
                found.records.append(span)
    return found


def _spans(element: object, rule: ErrorRule) -> list[Span | InvalidInput]:
    """Return the spans of an element, or the errors that say why there is none."""
    try:
        if not isinstance(element, dict) or not zipkin_v1.is_v1(element):
            return [_parsed(element, rule)]
        return [_parsed(side, rule) for side in zipkin_v1.v2_spans(element)]
    except InvalidInput as error:
        return [error]
    except RecursionError:  # orjson takes values that are nested more deeply than Python's calls
        return [InvalidInput("Zipkin v1", "a host of the span is nested too deeply")]


def _parsed(value: object, rule: ErrorRule) -> Span | InvalidInput:
    try:
        return parse_span(value, rule)
    except InvalidInput as error:
        return error


def spans_of_protobuf(body: bytes, rule: ErrorRule, most: int) -> Decoded[Span]:
    """Return the spans of a `ListOfSpans` of zipkin.proto3; no bytes are an empty request.

    Raises InvalidInput for another body, and TooManyRecords for a list of more than `most` spans, or of annotations for
    more than that. `rule` decides which spans are errored.
    """
    found: Decoded[Span] = Decoded([], [], Counter())
    try:
        spans = ListOfSpans.FromString(body).spans
    except DecodeError:
        hint = ": it begins as JSON does" if body.lstrip()[:1] in (b"[", b"{") else ""
        raise InvalidInput("no protobuf", f"the body is no ListOfSpans of zipkin.proto3{hint}") from None
    _check(len(spans), most, "spans")
    annotations = 0
    for place, raw in enumerate(spans):
        try:
            message = _message(raw, found.notes)
            annotations += len(message.annotations)
            _check(annotations, most * _ANNOTATIONS, "annotations")
            found.records.append(parse_message(message, rule))
        except InvalidInput as error:
            found.invalid.append(error.at(f"[{place}]"))
    return found


def _message(raw: bytes, notes: Counter[str]) -> Any:  # noqa: ANN401 - protobuf has no types
    """Return the message of a span; raises InvalidInput."""
    try:
        return SpanMessage.FromString(raw)
    except DecodeError:
        pass
    try:
        return repaired(raw, notes)
    except DecodeError:
        raise InvalidInput("no protobuf", "the bytes are no Span of zipkin.proto3") from None


def _check(number: int, most: int, names: str) -> None:
    if number > most:
        raise TooManyRecords(f"a request may have at most {most} {names}, not {number}")
