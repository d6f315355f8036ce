"""Values of OTLP that are nested deeply."""

import contextlib

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from pipeline.formats.invalid_input import InvalidInput
from tests.kit import otlp
from tests.kit.otlp_decoders import body_of, logs_of, spans_of


def nested(levels: int) -> AnyValue:
    value = AnyValue(string_value="bottom")
    for _ in range(levels):
        outer = AnyValue()
        outer.array_value.values.add().CopyFrom(value)
        value = outer
    return value


def test_a_value_is_as_deep_in_json_as_the_parser_of_protobuf_takes() -> None:
    deepest = 47
    attribute = {"key": "a", "value": nested(deepest)}
    request = otlp.spans_request(otlp.span_message(attributes=[attribute]))
    expected = "[" * deepest + '"bottom"' + "]" * deepest
    for as_json in False, True:
        (span,) = spans_of(body_of(request, as_json=as_json), as_json=as_json).records
        assert span["tags"] == {"a": expected}
    attribute["value"] = nested(deepest + 1)
    with pytest.raises(InvalidInput):
        spans_of(otlp.spans_request(otlp.span_message(attributes=[attribute])).SerializeToString(), as_json=False)


@pytest.mark.parametrize("levels", [64, 65, 200, 300, 900, 1000])
@pytest.mark.parametrize(("before", "behind"), [('{"arrayValue":{"values":[', "]}}"), ("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    "inner",
    [
        '{"attributes":[{"key":"a","value":%s}]}', '{"name":%s}', '{"kind":%s}', '{"traceId":%s}', '{"spanId":%s}',
        '{"events":[{"name":%s}]}', '{"events":[{"timeUnixNano":%s}]}', '{"startTimeUnixNano":%s}', '{"status":%s}',
        '{"links":[{"traceId":%s}]}', '{"new":%s}', '{"body":%s}', '{"severityNumber":%s}', "%s",
    ],
)  # fmt: skip
def test_deep_values_are_text_or_refused_wherever_they_are(levels: int, before: str, behind: str, inner: str) -> None:
    deep = inner % (before * levels + "1" + behind * levels)
    ids = f'"traceId":"{otlp.TRACE_ID.hex()}","spanId":"{otlp.SPAN_ID.hex()}"'
    record = f"{{{ids},{deep[1:]}" if deep[:2] == '{"' and inner != "%s" else deep
    for decode, names in (spans_of, ("Spans", "spans")), (logs_of, ("Logs", "logRecords")):
        body = f'{{"resource{names[0]}":[{{"scope{names[0]}":[{{"{names[1]}":[{record}]}}]}}]}}'
        with contextlib.suppress(InvalidInput):
            found = decode(body.encode(), as_json=True)
            assert len(found.records) + len(found.invalid) == 1
