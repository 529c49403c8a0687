"""How numbers and names are written in a report."""

from collections.abc import Sequence

from twinrank.evaluation.estimates import Estimate

METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log-loss, nats",
    "brier": "Brier score",
    "expected_calibration_error": "calibration error",
    "agreement": "two votes agree",
    "self_agreement": "same vote again",
    "with_ties": "with ties, too",
    "ceiling": "ceiling",
    "cyclic_triads": "cyclic triads",
    "explained": "one ranking explains",
}
_LONGEST_NAME = 80
"""Most characters of a name in a table or a picture; longer names lose their middle."""
_PERCENT = {
    "accuracy",
    "macro_f1",
    "expected_calibration_error",
    "agreement",
    "self_agreement",
    "with_ties",
    "ceiling",
    "cyclic_triads",
    "explained",
}
_MARKDOWN = str.maketrans({"\\": "\\\\", "`": "\\`", "*": "\\*", "[": "\\[", "&": "&amp;", "<": "&lt;", "|": "\\|"})


def metric_name(name: str) -> str:
    """A metric's name for readers; an unknown one as it is."""
    return METRIC_NAMES.get(name, name)


def value(estimate: Estimate, name: str, digits: int = 2) -> str:
    """The value: rates in percent with ``digits`` decimals, the others with four decimals."""
    return f"{100 * estimate.value:.{digits}f}%" if name in _PERCENT else f"{estimate.value:.4f}"


def interval(estimate: Estimate, name: str, digits: int = 2) -> str:
    """The interval, ``low–high``, with the decimals of :func:`value`."""
    if name in _PERCENT:
        return f"{100 * estimate.low:.{digits}f}–{100 * estimate.high:.{digits}f}"
    return f"{estimate.low:.4f}–{estimate.high:.4f}"


def plain(text: object, longest: int = _LONGEST_NAME) -> str:
    """A text as one short line. Control characters and halves of characters become �; a long text loses its middle."""
    whole = str(text)
    if len(whole) > longest:
        half = longest // 2
        whole = f"{whole[: half - 1]}…{whole[-half:]}"
    return "".join(character if character.isprintable() else "�" for character in whole)


def markdown(name: object) -> str:
    """A name that a user chose, as literal text in Markdown: one short line, without HTML, links or cells."""
    return plain(name).translate(_MARKDOWN)


def distinct(names: Sequence[str]) -> list[str]:
    """Names as :func:`plain` writes them; a name that stands there already gets a number."""
    shown: dict[str, None] = {}
    for name in map(plain, names):
        number, own = 1, name
        while own in shown:
            number += 1
            own = f"{name} ({number})"
        shown[own] = None
    return list(shown)


def table_line(cells: Sequence[str]) -> str:
    """A line of a Markdown table. Names in it went through :func:`markdown`."""
    return f"| {' | '.join(cells)} |"


def p_value(p: float) -> str:
    """A p-value to two digits, tiny ones as a bound."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def duration(seconds: float) -> str:
    """Seconds, and from two minutes on minutes or hours beside them."""
    text = f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 120:
        return text
    return f"{text} ({seconds / 60:.0f} min)" if seconds < 7200 else f"{text} ({seconds / 3600:.1f} h)"


def count(number: int) -> str:
    """A count, in millions with two decimals from 100,000 on."""
    return f"{number / 1e6:.2f} M" if number >= 100_000 else f"{number:,}"
