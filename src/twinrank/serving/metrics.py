"""Counters of a server, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PAIRS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The format of :meth:`Metrics.text`."""


class Metrics:
    """Counters of one server.

    Attributes:
        requests: Requests answered, by path and status.
        request_seconds: Seconds from the first byte of a request to its response, by path.
        pairs: Pairs compared, by model.
        images: Images that went through a tower for comparisons, by model.
        batch_pairs: Pairs of a batch.
        network_seconds: Seconds in which a network predicted, by model.
        begun: Requests that are being read or answered.
        waiting: Images that wait for a network.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter("twinrank_requests", "Requests answered", ["path", "status"], registry=registry)
        self.request_seconds = Histogram(
            "twinrank_request_seconds", "Seconds until a response", ["path"], buckets=_SECONDS, registry=registry
        )
        self.pairs = Counter("twinrank_pairs", "Pairs compared", ["model"], registry=registry)
        self.images = Counter("twinrank_images", "Images encoded for comparisons", ["model"], registry=registry)
        self.batch_pairs = Histogram("twinrank_batch_pairs", "Pairs of a batch", buckets=_PAIRS, registry=registry)
        self.network_seconds = Counter(
            "twinrank_network_seconds", "Seconds in which a network predicted", ["model"], registry=registry
        )
        self.begun = Gauge("twinrank_requests_begun", "Requests that are being read or answered", registry=registry)
        self.waiting = Gauge("twinrank_images_waiting", "Images that wait for a network", registry=registry)

    def text(self) -> bytes:
        """All values, in the format of Prometheus."""
        return generate_latest(self._registry)
