"""The index templates: searchable fields are mapped, all others are only in `_source`.

They work on a minimal node: no data streams, no lifecycle policies, no licensed field types.
"""

from contextlib import closing
from typing import Any

from sinks.elasticsearch.client import ElasticsearchClient
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.unindexable import UNINDEXED
from tracelink.errors import Unavailable, UserError

_VERSION = 4

# Longer values stay in the document but are not searchable; without `ignore_above` the document would be refused.
_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_TEXT = {"type": "text", "norms": False}
# The milliseconds of `date` would lose the order of lines.
_TIME = {"type": "date_nanos"}
# A value that is not a number must not make Elasticsearch refuse the document.
_NUMBER = {"type": "long", "ignore_malformed": True}
# The names and values of fields that cannot be indexed, in `_source` alone; `field` finds their documents.
_UNINDEXED = {"type": "object", "dynamic": False, "properties": {"field": _KEYWORD}}
_TRACE: dict[str, Any] = {
    "id": _KEYWORD,
    "errored": {"type": "boolean"},
    "root": {"properties": {"name": _KEYWORD, "service": _KEYWORD}},
}

LOG_MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "@timestamp": _TIME,
        "message": _TEXT,
        "log": {"properties": {"level": _KEYWORD, "logger": _KEYWORD}},
        "service": {"properties": {"name": _KEYWORD}},
        "trace": {"properties": _TRACE},
        "span": {"properties": {"id": _KEYWORD}},
        "error": {"properties": {"type": _KEYWORD, "message": _TEXT, "stack_trace": _TEXT}},
        "labels": {"type": "flattened", "ignore_above": 1024},
        UNINDEXED: _UNINDEXED,
    },
}

PART_MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "@timestamp": _TIME,
        "service": {"properties": {"name": _KEYWORD}},
        "trace": {
            "properties": _TRACE
            | {
                "part": _KEYWORD,
                "reason": _KEYWORD,
                "opened": {"type": "date"},
                "closed": {"type": "date"},
                "span_count": {"type": "integer"},
                "log_count": {"type": "integer"},
                "error_count": {"type": "integer"},
                "duration": {"properties": {"us": {"type": "long"}}},
            }
        },
        "error": {"properties": {"service": _KEYWORD, "operation": _KEYWORD, "message": _TEXT, "type": _KEYWORD}},
        "operations": _KEYWORD,
        # Searched only: with the columns by which Elasticsearch sorts and counts, they would take twice the disk.
        "tags": {"type": "flattened", "ignore_above": 1024, "doc_values": False},
        "spans": {"type": "object", "enabled": False},
        UNINDEXED: _UNINDEXED,
    },
}


PROBLEM_MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date"},
        "problem": {
            "properties": {
                "status": _KEYWORD,
                "severity": _KEYWORD,
                "muted": {"type": "boolean"},
                "rule": _KEYWORD,
                "first_seen": {"type": "date"},
                "last_seen": {"type": "date"},
                "firing_since": {"type": "date"},
                "count": {"type": "long"},
                "root": _KEYWORD,
            }
        },
        "error": {
            "properties": {
                "fingerprint": _KEYWORD,
                "service": _KEYWORD,
                "operation": _KEYWORD,
                "type": _KEYWORD,
                "message": _TEXT,
                "peer": _KEYWORD,
                "logger": _KEYWORD,
                "tags": {"type": "flattened", "ignore_above": 1024},
            }
        },
        "service": {"properties": {"name": _KEYWORD}},
        "trace": {"properties": {"id": _KEYWORD}},
        "labels": {"type": "flattened", "ignore_above": 1024},
        "http": {"properties": {"response": {"properties": {"status_code": _NUMBER}}}},
        "rpc": {"properties": {"grpc": {"properties": {"status_code": _KEYWORD}}}},
        "samples": {"type": "object", "enabled": False},
        "lines": {"type": "object", "enabled": False},
        UNINDEXED: _UNINDEXED,
    },
}


def templates(settings: ElasticsearchSettings) -> dict[str, dict[str, Any]]:
    """Return the index templates by name: the bodies of `PUT /_index_template/NAME`."""
    return {
        f"{settings.index_prefix}{kind}": {
            "index_patterns": [f"{settings.index_prefix}{pattern}"],
            # Above the 100 of Elasticsearch's built-in templates, which match a prefix like `logs-`.
            "priority": 200,
            "version": _VERSION,
            "template": {
                "settings": {"number_of_shards": settings.shards, "number_of_replicas": settings.replicas},
                "mappings": mappings,
            },
            "_meta": {"description": "Written by the tracelink Elasticsearch sink."},
        }
        for kind, pattern, mappings in (
            ("logs", "logs-*", LOG_MAPPINGS),
            ("traces", "traces-*", PART_MAPPINGS),
            ("errors", "errors", PROBLEM_MAPPINGS),
        )
    }


def set_up(client: ElasticsearchClient, settings: ElasticsearchSettings) -> None:
    """Create or replace the index templates; may be repeated. Raises Unavailable or Refused."""
    for name, body in templates(settings).items():
        client.put_template(name, body)


def set_up_now(settings: ElasticsearchSettings) -> list[str]:
    """Set the templates up from a command line; returns their names. Raises UserError if the cluster is unavailable."""
    try:
        with closing(ElasticsearchClient(settings, settings.request_timeout)) as client:
            set_up(client, settings)
    except Unavailable as error:
        raise UserError(f"{error}. Is it running? `tracelink stack up` starts one on this machine.") from None
    return list(templates(settings))
