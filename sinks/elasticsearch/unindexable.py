"""Names of fields that Elasticsearch cannot index: such a field costs itself its search, not its document.

A name in a `flattened` field has no NUL, and name and value together have at most 32,766 bytes, Lucene's limit of a
term (https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/flattened). Elasticsearch 8.16 to 9.0 reads
no name beyond 50,000 characters anywhere in a document (https://github.com/elastic/elasticsearch/pull/126806).
"""

from collections.abc import Mapping
from typing import Any

# The field that lists such fields with their values, as texts: `field` is searchable, the rest is only in `_source`.
UNINDEXED = "unindexed"

_TERM_BYTES = 32_766
# Values beyond `ignore_above`, which counts characters of UTF-16, are not indexed; a name that fits beside the longest
# other one always fits.
_VALUE_BYTES = 3 * 1024
LONGEST_NAME = _TERM_BYTES - _VALUE_BYTES - 1
"""The most bytes of an indexed name."""
_LONGEST_READ = 50_000
_NUL = b"\\u0000"


def is_indexable(encoded: bytes) -> bool:
    """Return True if an encoded document surely has no such name: a quick test, which some others fail, too."""
    return len(encoded) <= LONGEST_NAME and _NUL not in encoded


def indexable(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with its unindexable fields moved to `unindexed`; the same object if it has none."""
    found = document.copy()
    aside: list[dict[str, str]] = []
    if labels := document.get("labels"):
        found["labels"] = _kept(labels, "labels", aside)
    if tags := document.get("error", {}).get("tags"):
        found["error"] = document["error"] | {"tags": _kept(tags, "error.tags", aside)}
    if spans := document.get("spans"):
        found["spans"] = [_span(span, aside) for span in spans]
    return found | {UNINDEXED: aside} if aside else document


def _kept(fields: Mapping[str, str], path: str, aside: list[dict[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in fields.items():
        if "\0" in name or len(name) > LONGEST_NAME or len(name.encode()) > LONGEST_NAME:
            aside.append({"field": path, "name": name, "value": value})
        else:
            kept[name] = value
    return kept


def _span(span: dict[str, Any], aside: list[dict[str, str]]) -> dict[str, Any]:
    """Return a span without tags whose names cannot be read; spans are not indexed."""
    tags = span.get("tags")
    if not tags or max(map(len, tags)) <= _LONGEST_READ:
        return span
    immense = {name: value for name, value in tags.items() if len(name) > _LONGEST_READ}
    aside += [{"field": "spans.tags", "span": span["id"], "name": name, "value": immense[name]} for name in immense]
    return span | {"tags": {name: value for name, value in tags.items() if name not in immense}}
