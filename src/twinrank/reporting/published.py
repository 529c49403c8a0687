"""Published results on the benchmark, for the table that a run's own row goes into."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Standing:
    """One row of the table. Accuracies are texts in percent, as published; empty where unknown.

    Attributes:
        system: Description of the system.
        parameters: Number of parameters, in words.
        cost: Cost of training, in words.
        val: Accuracy on ``val.npz``.
        test_public: Accuracy on ``test_public.npz``.
        test_private: Accuracy on ``test_private.npz``.
        note: Warning to read before the numbers.
        seconds: Seconds of training, the middle of ``cost``; None where unknown.
    """

    system: str
    parameters: str = ""
    cost: str = ""
    val: str = ""
    test_public: str = ""
    test_private: str = ""
    note: str = ""
    seconds: float | None = field(default=None, kw_only=True)

    @property
    def accuracy(self) -> float:
        """Accuracy on the known file nearest to ``test_private``, as a share."""
        return _leading((self.test_private or self.test_public or self.val).rstrip("*")) / 100

    @property
    def shown(self) -> str:
        """Description, with the file of :attr:`accuracy` if that is not ``test_private``."""
        file = "" if self.test_private else ", test_public" if self.test_public else ", val"
        return f"{self.system}{file}"


PUBLISHED = (
    Standing("two small CNN towers, concatenated (the guide's baseline)", "0.18 M", "", "57.1"),
    Standing("a small residual siamese CNN", "0.5 M", "8 min on 16 CPU cores", "74.0", "75.9", "75.59*", seconds=480),
    Standing("one CNN over the joined image", "1.3 M", "45 min on a T4 GPU", "85.17", "85.50*", "85.49*", seconds=2700),
    Standing(
        "the guide's best single model (ResNet [3,3,3])",
        "4.75 M",
        "30 to 60 min on a GPU",
        "88.75",
        "88.45",
        seconds=2700,
    ),
    Standing(
        "the guide's stacking of 10 models, LightGBM",
        "40+ M",
        "8 to 10 h on a GPU",
        "89.07 (5-fold CV)",
        "89.85 to 90.30",
        "89.65*",
        seconds=32_400,
    ),
    Standing("the guide's headline “93%”", val="92.9 to 93.1", note="in-sample, not a result"),
)
"""Systems trained on the pairs alone, in the order of the table."""

FOOTNOTES = (
    "* scored by this project from the submitted predictions.",
    "The “93%” is an in-sample number: a meta-learner scored on the rows that it was fitted on. The same meta-learner "
    "has 89.07 in cross-validation, and 89.65 on the private test.",
)


def with_row(ours: Standing) -> list[Standing]:
    """The table with our row, placed by its accuracy on ``val``. In-sample numbers stay last and are never ranked.

    Our row comes after the others if it has no number on ``val``.
    """
    ranked = [row for row in PUBLISHED if not row.note]
    better = (place for place, row in enumerate(ranked) if ours.val and _leading(row.val) > _leading(ours.val))
    place = next(better, len(ranked))
    return [*ranked[:place], ours, *ranked[place:], *(row for row in PUBLISHED if row.note)]


def _leading(percent: str) -> float:
    return float(percent.split()[0])
