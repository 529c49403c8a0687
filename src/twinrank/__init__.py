"""twinrank: learn which of two images ranks higher."""

__version__ = "0.1.0"
