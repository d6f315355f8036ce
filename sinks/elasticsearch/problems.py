"""The document of a problem: its newest state, with the fingerprint as id."""

from typing import Any

from pipeline.analysis.redaction import Redactor
from pipeline.model.problems import Line, Problem, Sample
from sinks.elasticsearch.documents import document_id
from tracelink.errors import InvalidRecord, Reason

_MOST_VERSION = 2**63 - 1


def problem_id(problem: Problem) -> str:
    """Return the id of a problem's document; raises InvalidRecord for an invalid fingerprint or version."""
    fingerprint = document_id(problem["fingerprint"], "a fingerprint")
    if not 0 <= problem["version"] <= _MOST_VERSION:
        raise InvalidRecord(Reason.REFUSED, f"a version is no less than 0, not {problem['version']}")
    return fingerprint


def problem_document(problem: Problem, redactor: Redactor) -> dict[str, Any]:
    """Return the document of a problem; times are in milliseconds since the epoch."""
    redact = redactor.redact
    document: dict[str, Any] = {
        "@timestamp": problem["lastSeen"],
        "problem": _present(
            status=problem["status"],
            severity=problem["severity"],
            muted=problem["muted"],
            rule=problem["rule"],
            runbook=problem["runbook"],
            version=problem["version"],
            first_seen=problem["firstSeen"],
            last_seen=problem["lastSeen"],
            firing_since=problem["firingSince"],
            count=problem["count"],
            root=_redacted(problem["root"], redactor),
        ),
        "error": _present(
            fingerprint=problem["fingerprint"],
            service=problem["service"],
            operation=_redacted(problem["operation"], redactor),
            type=problem["exception"],
            message=_redacted(problem["message"], redactor),
            peer=problem["peer"],
            logger=problem["logger"],
            tags=redactor.redact_map(problem["tags"]),
        ),
        "service": {"name": problem["services"]},
        "trace": {"id": [sample["traceId"] for sample in problem["newest"]]},
        "samples": {"newest": [_sample(sample) for sample in problem["newest"]]},
        "lines": [{**_line(line), "message": redact(line["message"])} for line in problem["lines"]],
    }
    if slowest := problem["slowest"]:
        document["samples"]["slowest"] = _sample(slowest)
    if problem["labels"]:
        document["labels"] = problem["labels"]
    if status := problem["httpStatus"]:
        document["http"] = {"response": {"status_code": status}}
    if status := problem["grpcStatus"]:
        document["rpc"] = {"grpc": {"status_code": status}}
    return document


def _sample(sample: Sample) -> dict[str, Any]:
    return {"trace": {"id": sample["traceId"], "duration": {"us": sample["duration"]}}, "@timestamp": sample["time"]}


def _line(line: Line) -> dict[str, Any]:
    return _present(service=line["service"], level=line["level"]) | {"@timestamp": line["timestamp"] // 1000}


def _redacted(text: str | None, redactor: Redactor) -> str | None:
    return redactor.redact(text) if text else text


def _present(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value not in ("", {})}
