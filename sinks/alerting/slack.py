"""The body of an alert for Slack's incoming webhooks, and compatible ones: text and blocks within Slack's limits."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.model.problems import Alert
from sinks.alerting import alert_text
from sinks.base.links import Links

# Slack's limits are 3000 for the text of a section and of a message, 2000 for a field, 150 for a header. Slack may
# count UTF-16 code units.
_LONGEST_TEXT = 2900
_LONGEST_FIELD = 1900
_LONGEST_HEADER = 150
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NAMES = {"page": "Problem", "zipkin": "Trace", "kibana": "Log lines", "runbook": "Runbook"}


def body(alert: Alert, links: Links) -> Mapping[str, object]:
    """Return the body of the template `slack`."""
    problem = alert["problem"]
    title = alert_text.title(alert["event"], problem)
    fields = {
        "Severity": problem["severity"],
        "Called": alert_text.callee(problem),
        "Seen": alert_text.frequency(problem).removeprefix("Seen "),
        "Services": alert_text.services(problem),
        "Request": problem["root"],
    }
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _within(title, _LONGEST_HEADER)}}
    ]
    if problem["message"]:
        blocks.append({"type": "section", "text": _text(escaped(problem["message"], _LONGEST_TEXT))})
    blocks.append(
        {
            "type": "section",
            "fields": [_text(f"*{name}*\n{escaped(value, _LONGEST_FIELD)}") for name, value in fields.items() if value],
        }
    )
    if lines := alert_text.log_lines(problem):
        # Backticks would end the code block.
        quoted = escaped("\n".join(lines).replace("`", "'"), _LONGEST_TEXT)
        blocks.append({"type": "section", "text": _text(f"```{quoted}```")})
    found = {name: url for name, url in links.all(problem).items() if url.startswith(("http://", "https://"))}
    if found:
        shown = " | ".join(f"<{_url(url)}|{_NAMES[name]}>" for name, url in found.items())
        # A truncated link would be broken.
        if _units(shown) <= _LONGEST_TEXT:
            blocks.append({"type": "section", "text": _text(shown)})
    return {"text": escaped(title, _LONGEST_TEXT), "blocks": blocks}


def escaped(text: str, most: int) -> str:
    """Escape Slack's special characters, and cut to `most` UTF-16 code units, not within an escape."""
    return _within((_ENTITIES.get(character, character) for character in text), most)


def _within(pieces: Iterable[str], most: int) -> str:
    """Join pieces up to `most` UTF-16 code units, with an ellipsis at the end if pieces were left out."""
    found: list[str] = []
    left, fits = most, 0
    for piece in pieces:
        left -= _units(piece)
        if left < 0:
            return "".join(found[:fits]) + "…"
        found.append(piece)
        if left > 0:  # room for the ellipsis
            fits = len(found)
    return "".join(found)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _text(text: str) -> dict[str, object]:
    # Verbatim: Slack does not turn names and addresses in a message into mentions and links.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _url(url: str) -> str:
    return url.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
