"""Names of raters, and the one that stands for all who are not named."""

import numpy as np

UNKNOWN = "unknown"
"""Rater of rows that name none. These rows may be of several people, and of people who are named elsewhere."""


def named(rater: np.ndarray) -> np.ndarray:
    """Whether a row names its rater.

    >>> named(np.array(["Ada", "unknown"])).tolist()
    [True, False]

    Args:
        rater: Names or numbers of those who judged, (N,).

    Returns:
        Bool (N,).
    """
    return rater.astype(str) != UNKNOWN
