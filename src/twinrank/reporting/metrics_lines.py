"""Metrics of a file as plain lines: how many rows and images, every metric, how far people agree, kinds of rows."""

from collections.abc import Iterator

from twinrank.core.messages import counted
from twinrank.evaluation.estimates import Estimate
from twinrank.reporting.contents import FileMetrics
from twinrank.reporting.formats import interval, metric_name, value


def metrics_lines(each: FileMetrics) -> list[str]:
    """The metrics of a file, the rows first.

    Args:
        each: Metrics of the file.
    """
    lines = [f"{each.key}: {each.rows}", *(f"    {line}" for line in _rows(each))]
    lines += [_metric(name, estimate) for name, estimate in each.metrics.items()]
    if each.agreement is not None:
        found = each.agreement
        name = "self_agreement" if found.own else "agreement"
        ties = [] if found.with_ties is None else [_metric("with_ties", found.with_ties, "pairs")]
        by, votes = (" by one rater", "one rater's votes") if found.own else ("", "single votes")
        lines += [_metric(name, found.agreement, "pairs"), *ties, _metric("ceiling", found.ceiling, "pairs")]
        lines.append(
            f"    on {counted(found.pairs, 'pair', 'pairs')} judged more than once{by}, the accuracy is"
            f" {value(found.accuracy, 'accuracy')} ({interval(found.accuracy, 'accuracy')});"
            f" no predictor exceeds the ceiling on {votes}"
        )
    for kind, part in each.kinds.items():
        shown = "none of them decided"
        if part.metrics:
            accuracy = part.metrics["accuracy"]
            shown = f"accuracy {value(accuracy, 'accuracy')} ({interval(accuracy, 'accuracy')})"
        lines.append(f"    {kind} by training: {counted(part.n, 'row', 'rows')}, {shown}")
    if each.chance is not None:
        lines.append(f"    warning: {each.chance}")
    return [*lines, *(f"    warning: {line}" for line in each.warnings)]


def _rows(each: FileMetrics) -> Iterator[str]:
    n = each.data["n"]
    if each.images is not None:
        images = counted(each.images, "image", "images")
        yield f"{counted(n, 'row', 'rows')} of {images}, so intervals and tests are over images"
    if each.votes is not None:
        yield f"{each.votes:,.0f} votes, which count one by one"
    if each.undecided:
        ties, even = counted(each.ties, "tie", "ties"), counted(each.undecided - each.ties, "even share", "even shares")
        without = " and ".join(words for words, rows in ((ties, each.ties), (even, each.undecided - each.ties)) if rows)
        decided = counted(n - each.undecided, "row", "rows")
        yield f"{without}: in the log-loss alone; the other metrics are about {decided}"


def _metric(name: str, estimate: Estimate, unit: str = "") -> str:
    images = "" if estimate.images is None else f", {counted(estimate.images, 'image', 'images')}"
    return (
        f"    {metric_name(name):<18} {value(estimate, name):>8}   {interval(estimate, name)}"
        f"   ({estimate.interval}, n = {estimate.n:,}{f' {unit}' if unit else ''}{images})"
    )
