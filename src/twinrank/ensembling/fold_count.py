"""The number of folds that stacking takes."""

from twinrank.errors import InputError

MAX_FOLDS = 100
FEWEST_FOLDS = 4
"""One fold to score, one to calibrate, and two in which sizes are chosen."""


def require_folds(count: int, where: str = "`folds`") -> None:
    """Refuse fewer folds than stacking takes, and more than are possible.

    Args:
        count: Number of folds.
        where: Place of the number, for messages.

    Raises:
        InputError: The number is impossible.
    """
    if not FEWEST_FOLDS <= count <= MAX_FOLDS:
        raise InputError(
            f"{where}: {count} is not possible; use {FEWEST_FOLDS} to {MAX_FOLDS}: one to score, one to calibrate, and"
            " two in which sizes are chosen"
        )
