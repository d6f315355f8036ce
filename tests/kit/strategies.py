"""Any span and any log record, for properties."""

from typing import cast

from hypothesis import strategies as st

from tracelink.model.records import LogRecord, Span

LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=20)
TAGS = st.dictionaries(TEXTS, TEXTS, max_size=3)
TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)


def _maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


ENDPOINTS = st.fixed_dictionaries(
    {"serviceName": _maybe(TEXTS), "ipv4": _maybe(TEXTS), "ipv6": _maybe(TEXTS), "port": _maybe(st.integers(0, 65535))}
)
EXCEPTIONS = st.fixed_dictionaries({"type": _maybe(TEXTS), "message": _maybe(TEXTS), "stackTrace": _maybe(TEXTS)})


def spans(trace_ids: st.SearchStrategy[bytes] = TRACE_IDS) -> st.SearchStrategy[Span]:
    return cast(
        "st.SearchStrategy[Span]",
        st.fixed_dictionaries(
            {
                "flags": st.integers(0, 7),
                "traceId": trace_ids,
                "id": TEXTS,
                "parentId": _maybe(TEXTS),
                "kind": _maybe(st.sampled_from(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"])),
                "name": _maybe(TEXTS),
                "timestamp": _maybe(LONGS),
                "duration": _maybe(LONGS),
                "localEndpoint": _maybe(ENDPOINTS),
                "remoteEndpoint": _maybe(ENDPOINTS),
                "annotations": st.lists(st.fixed_dictionaries({"timestamp": LONGS, "value": TEXTS}), max_size=2),
                "tags": TAGS,
                "debug": _maybe(st.booleans()),
                "shared": _maybe(st.booleans()),
            }
        ),
    )


def logs(trace_ids: st.SearchStrategy[bytes] = TRACE_IDS) -> st.SearchStrategy[LogRecord]:
    return cast(
        "st.SearchStrategy[LogRecord]",
        st.fixed_dictionaries(
            {
                "flags": st.integers(0, 7),
                "traceId": trace_ids,
                "id": TEXTS,
                "spanId": _maybe(TEXTS),
                "timestamp": LONGS,
                "service": _maybe(TEXTS),
                "level": _maybe(TEXTS),
                "logger": _maybe(TEXTS),
                "message": TEXTS,
                "exception": _maybe(
                    st.fixed_dictionaries(
                        {"type": _maybe(TEXTS), "message": _maybe(TEXTS), "stackTrace": _maybe(TEXTS)}
                    )
                ),
                "fields": TAGS,
            }
        ),
    )
