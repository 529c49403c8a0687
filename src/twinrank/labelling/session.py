"""Many raters at once: what they see next, what they said, and a ranking that a thread keeps up to date."""

import unicodedata
from collections.abc import Sequence
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from twinrank.core.messages import counted
from twinrank.errors import InputError
from twinrank.evaluation.estimates import Estimate
from twinrank.labelling.choice import Choice, Shares
from twinrank.labelling.databases import Unreachable
from twinrank.labelling.standings import Fit, Standings, as_comparisons, standings, verdict
from twinrank.labelling.storage import LabelStore, Outcome, Shown

LONGEST_NAME = 60
"""Characters of a rater's name."""
MOST_AHEAD = 5
"""Most pairs that a rater gets ahead."""
_PAUSE, _REST = 0.5, 4.0
"""Seconds between two looks at whether there are new judgements; and the rest after a fit, in multiples of its time."""
_MOST_SHOWN = 200
"""Images of the ranking that are shown; of more, both ends."""
_FEWEST = 5
"""Judgements before scores are fitted."""


class Session:
    """The judging of one folder of images. Its methods may be called by several threads at once.

    Args:
        store: Database.
        names: Names of the images: their paths from the folder, at least two.
        fit: Fit of the scores to judgements.
        shares: Shares of pairs that come again, or are drawn at random; None for the usual ones.
        seed: Seed of the draws of pairs and sides.

    Raises:
        InputError: There are fewer than two images.
    """

    def __init__(
        self, store: LabelStore, names: Sequence[str], fit: Fit, shares: Shares | None = None, seed: int | None = None
    ) -> None:
        if len(names) < 2:
            raise InputError(f"there is {counted(len(names), 'image', 'images')}; a pair needs two")
        self.store, self.names = store, list(names)
        self._number = {name: number for number, name in enumerate(names)}
        self._fit, self._lock, self._stopped = fit, Lock(), Event()
        self._choice = Choice(names, store.rows(), shares or Shares(), seed)
        self._standings: Standings | None = None
        self._trouble = ""
        self._thread = Thread(target=self._keep_fitting, name="ranking", daemon=True)

    def start(self) -> None:
        """Begin to keep the ranking up to date, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End that thread, and close the database."""
        self._stopped.set()
        if self._thread.is_alive():
            # A long fit is given up: it writes nothing.
            self._thread.join(2)
        self.store.close()

    def keep_digest(self, number: int, sha256: str) -> bool:
        """Note the SHA-256 of the file of an image that is shown; gives whether the database took it."""
        try:
            self.store.keep_digest(self.names[number], sha256)
        except Unreachable:
            return False
        return True

    def next(self, rater: str, count: int = 1) -> list[dict[str, Any]]:
        """The next pairs of a rater. The same ones come until they are answered.

        Args:
            rater: Name of the rater.
            count: Number of pairs, 1 to :data:`MOST_AHEAD`.

        Raises:
            InputError: The name is no name, or the database cannot be written.
        """
        rater = rater_name(rater)
        with self._lock:
            rows = self._choice.open_rows(rater)[:count]
            while len(rows) < min(count, MOST_AHEAD):
                left, right, drawn = self._choice.next(rater)
                row = self.store.show(self.names[left], self.names[right], drawn, rater)
                self._choice.note(row)
                rows.append(row)
        return [*map(self._pair, rows)]

    def answer(self, number: int, rater: str, outcome: Outcome, seconds: float | None = None) -> None:
        """Keep an answer.

        Args:
            number: Number of the pair.
            rater: Name of the rater.
            outcome: Answer.
            seconds: Time that the rater took.

        Raises:
            InputError: As :meth:`LabelStore.answer`, or the name is no name.
        """
        with self._lock:
            row = self.store.answer(number, rater_name(rater), outcome, seconds)
            self._choice.note(row)

    def undo(self, rater: str) -> dict[str, Any] | None:
        """Take back a rater's last answer about these images.

        Args:
            rater: Name of the rater.

        Returns:
            The pair, to be judged again; None if there is no answer.

        Raises:
            InputError: The name is no name, or the database cannot be written.
        """
        rater = rater_name(rater)
        with self._lock:
            answered = [row for row in self._choice.rows if row.rater == rater and row.outcome and not row.undone]
            if not answered:
                return None
            last = max(answered, key=lambda row: (row.answered or "", row.id))
            before, again = self.store.undo(last.id, rater)
            self._choice.note(before)
            self._choice.note(again)
        return self._pair(again)

    def progress(self, rater: str) -> dict[str, Any]:
        """How far the judging is, for a rater and for all.

        Args:
            rater: Name of the rater.
        """
        with self._lock:
            judged = [row.rater for row in self._choice.rows if row.counts]
            return {
                "own": judged.count(rater),
                "all": len(judged),
                "images": len(self.names),
                "missing": self._choice.linked.count - 1,
            }

    @property
    def judgements(self) -> int:
        """Number of judgements of these images so far."""
        with self._lock:
            return sum(row.counts for row in self._choice.rows)

    def summary(self) -> dict[str, Any]:
        """The ranking so far, the raters, their agreement, and whether the order has settled, as JSON values."""
        with self._lock:
            rows, found, trouble = self._choice.rows, self._standings, self._trouble
            connected = self._choice.linked.count == 1
        now = sum(row.counts for row in rows)
        known: dict[str, Any] = {
            "judgements": now,
            "images": len(self.names),
            "connected": connected,
            "raters": _raters(rows),
            "trouble": trouble,
            "fitted": None,
        }
        if found is not None:
            known["fitted"] = self._fitted(found)
        return known

    def _fitted(self, found: Standings) -> dict[str, Any]:
        scores = found.scores
        order = scores.rank.argsort(kind="stable").tolist()
        half = _MOST_SHOWN // 2
        ends = order if len(order) <= _MOST_SHOWN else [*order[:half], *order[-half:]]
        return {
            "judgements": found.judgements,
            "verdict": verdict(found),
            "settled": found.pairs.settled,
            "right": found.pairs.right_now,
            "sure_neighbours": found.sure_neighbours,
            "width": found.width,
            "raters_agree": _values(found.raters_agree),
            "raters_repeat": _values(found.raters_repeat),
            "ranking": [
                {
                    "image": image,
                    "name": self.names[image],
                    "place": int(scores.rank[image]),
                    "first": int(scores.rank_low[image]),
                    "last": int(scores.rank_high[image]),
                    "score": float(scores.mean[image]),
                    "judgements": int(scores.comparisons[image]),
                }
                for image in ends
            ],
        }

    def _pair(self, row: Shown) -> dict[str, Any]:
        return {"id": row.id, "left": self._number[row.left], "right": self._number[row.right]}

    def _keep_fitting(self) -> None:
        """Fit whenever there are new judgements; with many, after some of them."""
        fitted, rest = set[int](), _PAUSE
        while not self._stopped.wait(rest):
            rest = _PAUSE
            with self._lock:
                rows = [row for row in self._choice.rows if row.counts]
            changed = len(fitted ^ {row.id for row in rows})
            if len(rows) < _FEWEST or changed < 1 + len(fitted) // 50:
                continue
            fitted, begun = {row.id for row in rows}, monotonic()
            try:
                found, trouble = standings(as_comparisons(rows, self.names), self._fit), ""
            except Exception as error:  # Judging goes on without a ranking, and the page says why.
                found, trouble = None, f"The ranking could not be fitted ({type(error).__name__}: {error})."
            rest = max(_PAUSE, _REST * (monotonic() - begun))
            with self._lock:
                self._trouble = trouble
                if found is not None:
                    self._standings = found
                    pairs = zip(found.pairs.left.tolist(), found.pairs.right.tolist(), strict=True)
                    self._choice.tells_most(pairs)


def rater_name(text: str) -> str:
    """A rater's name, without blanks around it.

    Raises:
        InputError: It is empty, too long, or has control characters.
    """
    name = text.strip()
    if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(each)[0] == "C" for each in name):
        raise InputError(f"the name of a rater has 1 to {LONGEST_NAME} characters, and no control characters")
    return name


def _raters(rows: Sequence[Shown]) -> list[dict[str, Any]]:
    """What each rater has done: judgements, ties, skipped pairs, and the share of left among decided pairs."""
    found = []
    for name in sorted({row.rater for row in rows}):
        own = [row.outcome for row in rows if row.rater == name and row.outcome and not row.undone]
        left, right, ties, skipped = map(own.count, ("left", "right", "tie", "skip"))
        if own:
            share = left / (left + right) if left + right else None
            found.append(
                {"name": name, "judgements": left + right + ties, "ties": ties, "skipped": skipped, "left": share}
            )
    return found


def _values(estimate: Estimate | None) -> dict[str, Any] | None:
    return estimate and {"value": estimate.value, "low": estimate.low, "high": estimate.high, "pairs": estimate.n}
