"""Whether predictions are better than chance, in a line that says what to try where they are not."""

import numpy as np

from twinrank.evaluation.estimates import Estimate

EVEN_LOG_LOSS = float(np.log(2))
"""Log-loss of a constant prediction where there are no ties, in nats."""
_TRY = "try more judgements; a network from scratch also needs more epochs, or public weights ('twinrank fit')"


def constant_log_loss(tie: np.ndarray | None = None, weight: np.ndarray | None = None, expected: float = 0.0) -> float:
    """Log-loss of the best constant prediction, in nats: ties at their share, and even chances for the sides.

    >>> round(constant_log_loss(), 4), round(constant_log_loss(np.array([True, False, False])), 4)
    (0.6931, 1.0986)

    Args:
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float (N,); None where each row is one.
        expected: Probability of a tie that a predictor states on average. It counts where there are no ties: people
            may not have been asked for them, which a predictor cannot know.
    """
    tied = 0.0 if tie is None else float(np.average(tie, weights=weight))
    if tied in (0, 1):
        return 0.0 if tied else float(EVEN_LOG_LOSS - np.log1p(-expected))
    return float(-tied * np.log(tied) - (1 - tied) * np.log((1 - tied) / 2))


def chance_warning(accuracy: Estimate, log_loss: float, constant: float | None) -> str | None:
    """What to say where predictions are no better than chance; None where they are better.

    They are no better where the interval of the accuracy includes 50%, or where the log-loss is not below that of a
    constant prediction.

    >>> chance_warning(Estimate(0.9, 0.8, 0.95, 50, "Wilson 95%"), 0.3, EVEN_LOG_LOSS) is None
    True

    Args:
        accuracy: Accuracy with its interval.
        log_loss: Log-loss on the same rows, in nats.
        constant: Log-loss of a constant prediction, see :func:`constant_log_loss`; None where it is unknown.
    """
    ends = f"accuracy {100 * accuracy.value:.1f}%, interval {100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}"
    if accuracy.high < 0.5:
        return (
            f"worse than chance ({ends}); see whether the table names the winner or the loser, and one side won always"
        )
    if accuracy.low <= 0.5:
        return f"no better than chance ({ends}, which includes 50%); {_TRY}"
    if constant is not None and log_loss >= constant:
        return (
            f"probabilities no better than a constant prediction (log-loss {log_loss:.4f}, constant {constant:.4f});"
            f" {_TRY}"
        )
    return None
