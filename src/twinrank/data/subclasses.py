"""Subclasses: images of a class that look alike, as targets that say more than the class."""

import numpy as np


def subclasses(vectors: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Divide the images of each class by k-means (Lloyd 1982, doi:10.1109/TIT.1982.1056489).

    The same vectors get the same subclasses each time.

    Args:
        vectors: What tells images apart, float32 (M, D).
        classes: Class of each image, int (M,), from 0 on.
        count: Number of subclasses of each class, as far as it has so many images.

    Returns:
        Subclasses, int64 (M,); those of class c are c * count and the next ones.

    Example:
        >>> subclasses(np.float32([[0], [9], [1], [8]]), np.array([0, 0, 1, 1]), 1).tolist()
        [0, 0, 1, 1]
    """
    # They take a while to load, and most trainings do without.
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    found = np.zeros(len(vectors), np.int64)
    # The sums of several threads could differ in their last bits.
    with threadpool_limits(1):
        for number in np.unique(classes).tolist():
            members = np.flatnonzero(classes == number)
            clusters = MiniBatchKMeans(min(count, len(members)), random_state=0, batch_size=2048)
            found[members] = number * count + clusters.fit_predict(vectors[members])
    return found
