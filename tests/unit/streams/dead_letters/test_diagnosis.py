"""What is said of a letter: what it is, which byte is wrong, and what of it may be seen."""

import pytest

from pipeline.analysis.redaction import Redactor
from pipeline.model.splice import splice
from streams.dead_letters.dead_letter import DeadLetter
from streams.dead_letters.diagnosis import Diagnosis, diagnose
from streams.dead_letters.redaction import AsItIs, Redacts
from streams.dead_letters.show_view import dump, show_lines
from tests.kit.dead_letter_examples import NAMES, START, letter
from tests.kit.records import key, log_message, span_message, trace_id
from tracelink.errors import Reason
from tracelink.model.codec import HEADER_BYTES, SPAN


def faults(one: DeadLetter) -> list[tuple[int, str]]:
    return [(fault.at, fault.why) for fault in diagnose(one).faults]


def text(one: DeadLetter, redactor: Redacts | None = None) -> str:
    lines = show_lines(one, None, diagnose(one), NAMES.prefix, START, redactor or Redactor())
    return "\n".join(lines)


def test_a_payload_that_is_no_avro_is_told_with_its_first_bytes() -> None:
    assert faults(letter(b"{}", key=key(1))) == [(0, "not an Avro message of tracelink: it starts with 7b7d, not c301")]
    assert faults(letter(b"", key=key(1))) == [
        (0, "not an Avro message of tracelink: it starts with nothing, not c301")
    ]
    assert faults(letter(b"\xc3\x02", key=key(1)))[0][0] == 1
    assert faults(letter(b"\xc3\x01abc", key=key(1))) == [(5, "it ends in its frame, which has 10 bytes")]


def test_a_fingerprint_is_told_with_whose_it_is() -> None:
    log = diagnose(letter(log_message(1), key=key(1)))
    assert (log.what, log.faults[0].at) == ("log record", 2)
    assert "that of a log record, but a span is expected" in log.faults[0].why
    unknown = diagnose(letter(b"\xc3\x01" + bytes(8) + b"?", key=key(1)))
    assert unknown.what is None
    assert f"is not of a schema of this version; a span has {SPAN.header[2:].hex()}" in unknown.faults[0].why


def test_a_trace_id_that_is_not_the_key_is_told_at_the_byte_that_differs() -> None:
    ((at, why),) = faults(letter(span_message(1), key=key(257)))
    assert at == 11 + 14
    assert key(1).decode() in why
    assert key(257).decode() in why
    assert faults(letter(span_message(1), key=key(1))) == []


def test_flags_of_two_bytes_are_told() -> None:
    message = bytearray(span_message(1))
    message[HEADER_BYTES] |= 1
    assert (10, "flags take one byte, and are not negative") in faults(letter(bytes(message), key=key(1)))


@pytest.mark.parametrize("bad", [None, b"no id", b"0" * 32, b"A" * 32])
def test_a_key_that_is_no_trace_id_is_told(bad: bytes | None) -> None:
    (remark,) = diagnose(letter(span_message(1), key=bad)).remarks
    assert "key" in remark
    assert diagnose(letter(log_message(1), key=bad, topic=NAMES.unlinked_logs, kind="log")).remarks != (remark,)


def test_a_record_that_a_target_refuses_has_nothing_wrong_and_its_answer_is_shown() -> None:
    refused = letter(
        span_message(1),
        key=key(1),
        reason=Reason.REFUSED,
        detail="400: mapper_parsing",
        sink="elasticsearch",
        kind="span",
    )
    found = diagnose(refused)
    assert found.faults == ()
    assert found.remarks == (
        "These bytes are valid, but the target of elasticsearch refuses them: 400: mapper_parsing",
    )
    assert found.remarks[0] in text(refused)


def test_no_value_and_a_cut_one_and_a_large_one_are_told() -> None:
    assert diagnose(letter(None, key=key(1))).remarks == ("There is no payload: the message had no value.",)
    message = span_message(1, name="x" * 100)
    cut = diagnose(letter(message[:60], key=key(1), reason=Reason.SIZE, detail="too many", cut_from_bytes="5000000"))
    assert cut.remarks == (
        "The payload was cut when it was dead-lettered: 60 of 5000000 bytes.",
        "The size is wrong: too many",
    )
    assert cut.faults


def test_the_bad_records_of_a_trace_are_named_and_the_others_are_not() -> None:
    message = splice(
        flags=0, trace_id=trace_id(1), name="s0-0", opened=1, closed=2, reason=0,
        spans=[span_message(1), span_message(1) + b"?"], logs=[log_message(1)[:-1]],
    )  # fmt: skip
    whole = letter(message, key=key(1), topic=NAMES.traces)
    assert diagnose(whole).what == "trace"
    assert "Bad records of this trace: spans[1], logs[0]; the others can be read" in text(whole)


def test_the_fields_are_shown_with_their_places_and_the_wrong_byte_with_a_mark_under_it() -> None:
    message = span_message(1, name="a name", id="0" * 16, parentId="0" * 16)
    at = message.index(b"a name")
    shown = text(letter(message[: at + 2] + b"\xff" + message[at + 3 :], key=key(1)))
    assert f"{11:>8} traceId = {trace_id(1).hex()}" in shown
    assert f"Wrong at byte {at + 2}, in name: no UTF-8: invalid start byte" in shown
    lines = shown.splitlines()
    (resolution,) = [number for number, line in enumerate(lines) if line.strip() == "^^"]
    column = lines[resolution].index("^^")
    assert lines[resolution - 1][column : column + 2] == "ff"
    assert "|000000000000" in lines[resolution - 2]  # what was read, and is no secret, stays
    assert int(lines[resolution - 1][:8], 16) + (column - 10) // 3 == at + 2


def test_a_dump_marks_the_byte_that_is_missing_at_the_end() -> None:
    assert dump(b"abc", 3) == ["00000000  61 62 63                                         |abc|", " " * 19 + "^^"]
    assert dump(bytes(16), 16, around=0) == ["00000010", " " * 10 + "^^"]
    assert dump(b"", 0) == ["00000000", " " * 10 + "^^"]
    assert len(dump(bytes(160), 80, around=2)) == 6


HUNTER = "hunter2hunter2"


@pytest.mark.parametrize(
    "payload",
    [
        span_message(1, tags={"password": HUNTER}) + b"?",
        span_message(1, name=f"GET /?password={HUNTER}") + b"?",
        span_message(1, tags={"password": HUNTER})[:-4],
        f"password={HUNTER}".encode(),
        log_message(1, message=f"password={HUNTER}"),
    ],
)  # fmt: skip
def test_secrets_are_shown_in_no_way_but_raw(payload: bytes) -> None:
    one = letter(
        payload, key=f"password={HUNTER}".encode(), detail=f"bad: password={HUNTER}", more=f"password={HUNTER}"
    )
    shown = text(one)
    assert HUNTER not in shown
    assert HUNTER[4:] not in shown
    assert HUNTER.encode().hex(" ")[:11] not in shown
    assert HUNTER in text(one, AsItIs())


def test_what_a_terminal_obeys_is_shown_nowhere() -> None:
    nasty = "\x1b[2J\x9b1m\u202e"
    one = letter(
        span_message(1, name=nasty, tags={nasty: nasty}) + b"\x1b",
        key=nasty.encode(),
        detail=nasty,
        sink=nasty,
        more=nasty,
    )
    for redactor in (Redactor(), AsItIs()):
        assert not {"\x1b", "\x9b", "\u202e"} & set(text(one, redactor))


def test_of_a_large_trace_only_what_matters_is_listed() -> None:
    spans = [span_message(1) for _ in range(200)]
    spans[150] += b"?"
    message = splice(
        flags=0, trace_id=trace_id(1), name="s0-0", opened=1, closed=2, reason=0, spans=spans, logs=[]
    )  # fmt: skip
    shown = text(letter(message, key=key(1), topic=NAMES.traces))
    assert "spans[150].name = " in shown
    assert "spans[7].name = " not in shown
    assert "fields of valid records are not shown" in shown


def test_a_letter_of_no_known_topic_is_read_as_what_its_fingerprint_says() -> None:
    found: Diagnosis = diagnose(letter(span_message(1), topic="elsewhere"))
    assert (found.what, found.faults) == ("span", ())
