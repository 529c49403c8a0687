"""Public weights, and where they come from."""

from typing import NamedTuple


class PublicWeights(NamedTuple):
    """The weights that a network began with, as a run records them.

    Attributes:
        source: Name of the network that they are for, such as ``efficientnet_lite0``.
        sha256: Digest of their file, in hexadecimal.
        licence: Their licence; None where it is not known.
    """

    source: str
    sha256: str
    licence: str | None = None
