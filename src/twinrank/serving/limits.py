"""What a server accepts at most."""

from dataclasses import dataclass

from twinrank.core.web import REQUEST_SECONDS


@dataclass(frozen=True)
class Limits:
    """Bounds of a server. What is beyond them is refused, and nothing waits for ever."""

    request_bytes: int = 32 << 20
    """Bytes of a request."""
    bytes_at_a_time: int = 256 << 20
    """Bytes of all requests that are being read or answered."""
    requests_at_a_time: int = 256
    """Requests that are being read or answered."""
    request_seconds: float = REQUEST_SECONDS
    """Seconds until a request must have arrived."""
    answer_seconds: float = 60.0
    """Seconds until a request must be answered."""
    image_pixels: int = 50_000_000
    """Pixels of an image, by its header."""
    images: int = 512
    """Images of a request."""
    images_waiting: int = 2048
    """Images of all requests that wait for a network."""
    images_a_batch: int = 256
    """Images that go through a network together."""
    bytes_a_batch: int = 64 << 20
    """Bytes of their pixels."""
