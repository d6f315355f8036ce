"""The settings of the Zipkin sink."""

from pipeline.settings import ZipkinAccess
from sinks.base.settings import TraceSinkSettings


class ZipkinSettings(ZipkinAccess, TraceSinkSettings):
    """The Zipkin sink."""

    title = "The Zipkin sink"
