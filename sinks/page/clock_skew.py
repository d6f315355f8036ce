"""The differences between the clocks of a trace's services, found as Zipkin finds them.

A server cannot receive a call before its client has sent it. If its span starts earlier, its clock is slow: its spans,
and those below them on the same host, are shown later. Source: `clock-skew.js` of Zipkin's UI.

Zipkin knows a host by its IP address, and corrects nothing without one. OpenTelemetry's spans rarely have one: here the
service's name stands for it then.
"""

from pipeline.analysis.span_tree import SpanNode, SpanTree
from tracelink.model.records import Span

_Host = tuple[str | None, str | None, str | None]


def clock_skews(tree: SpanTree) -> dict[int, float]:
    """Return the microseconds by which each span's clock is ahead, by the `id()` of its node; absent: not known.

    Only spans below a single root are compared, as in Zipkin: other trees have no common clock.
    """
    roots = [node for node in tree.nodes if node.parent is None and not node.span.get("parentId")]
    if len(roots) != 1:
        return {}
    found: dict[int, float] = {}
    pending: list[tuple[SpanNode, _Host, float]] = [(roots[0], (None, None, None), 0.0)]
    while pending:
        node, host, skew = pending.pop()
        own = _host(node.span)
        amount = skew if skew and _is_same(host, own) else 0.0
        measured = _measured(node, amount, found.get(id(node.parent), 0.0))
        if measured:
            amount += measured
            host, skew = own, measured
        if amount:
            found[id(node)] = amount
        pending += [(child, host, skew) for child in node.children]
    return found


def _measured(node: SpanNode, applied: float, of_parent: float) -> float:
    """Return by how much a server's clock is ahead of its client's, after the corrections that are known so far."""
    parent, server = node.parent, node.span
    if parent is None or parent.span.get("kind") != "CLIENT" or server.get("kind") != "SERVER":
        return 0.0
    client = parent.span
    sent, received = client.get("timestamp"), server.get("timestamp")
    from_host, to_host = _host(client), _host(server)
    if not (sent and received and any(from_host) and any(to_host)) or _is_same(from_host, to_host):
        return 0.0
    late = (received - applied) - (sent - of_parent)
    if late > 0:
        return 0.0
    client_took, server_took = client.get("duration"), server.get("duration")
    if not client_took or not server_took or client_took < server_took:
        # No duration to compare, or a client that did not wait: the server starts one microsecond later.
        return late - 1
    return late - (client_took - server_took) / 2


def _host(span: Span) -> _Host:
    endpoint = span.get("localEndpoint") or {}
    return endpoint.get("ipv4"), endpoint.get("ipv6"), endpoint.get("serviceName")


def _is_same(one: _Host, other: _Host) -> bool:
    ipv4, ipv6, service = one
    if (ipv4 or ipv6) and (other[0] or other[1]):
        return bool(ipv6 and ipv6 == other[1]) or bool(ipv4 and ipv4 == other[0])
    return bool(service) and service == other[2]
