"""What ``twinrank fit`` found, in a few sentences."""

from collections.abc import Mapping
from typing import Any

from twinrank.core.messages import counted

_HARDLY, _CLEARLY = 0.003, 0.01
"""Gain of log-loss, in nats, by twice the judgements: below the first they hardly help, from the second on clearly."""
_FEW_PAIRS = 50
"""Pairs that were judged twice, below which their agreement tells little."""


def table_row(candidate: str, log_loss: str, accuracy: str, seconds: str, what: str) -> str:
    """A row of the table of candidates, which grows while they are tried.

    >>> table_row("whole", "0.5123", "78.1%", "95", "whole images, 224 pixels")
    'whole              0.5123     78.1%           95  whole images, 224 pixels'
    """
    return f"{candidate:<16}{log_loss:>9}{accuracy:>10}{seconds:>13}  {what}"


def sentences(found: Mapping[str, Any]) -> list[str]:
    """How good it is, how good it could be, whether more would help, and what was fitted if that is not everything.

    Args:
        found: The other content of ``fit.json``.
    """
    return [_how_good(found), _how_good_it_could_be(found), _more(found), *_fitted(found)]


def _how_good(found: Mapping[str, Any]) -> str:
    accuracy = found["test"]["metrics"]["accuracy"]
    judgements = counted(accuracy["n"], "decided judgement", "decided judgements")
    if "out_of_fold" in found:
        other = f"in cross-validation over the other images, in {found['out_of_fold']['accuracy']:.1%}"
    else:
        chose = found["chose_epoch"]
        other = f"on the {chose['n']:,} that chose its epoch, in {chose['accuracy']:.1%}"
    return f"On {judgements} of images that it had never seen, the network is right in {_percent(accuracy)}; {other}."


def _how_good_it_could_be(found: Mapping[str, Any]) -> str:
    if "agreement" not in found:
        return "How good it could be is not known: no pair was decided twice."
    agreement, ceiling = found["agreement"]["agreement"], found["agreement"]["ceiling"]
    pairs = counted(agreement["n"], "pair", "pairs")
    with_ties = found["agreement"].get("with_ties")
    left_out = "" if with_ties is None else ", ties left out"
    rough = " That is a rough guess, from few pairs." if agreement["n"] < _FEW_PAIRS else ""
    if with_ties is not None:
        every = counted(with_ties["n"], "pair", "pairs")
        rough += f" Counting ties as answers, {_percent(with_ties)} of {every} agree."
    if found["agreement"].get("own"):
        return (
            f"A rater who judged a pair again said the same in {_percent(agreement)} of {pairs}{left_out}. So any"
            f" predictor can be right on {_percent(ceiling)} of one rater's votes at most; others may judge otherwise."
            f"{rough}"
        )
    return (
        f"Two votes about a pair agree in {_percent(agreement)} of {pairs} that were judged more than once{left_out}."
        f" So any predictor can be right on {_percent(ceiling)} of single votes at most.{rough}"
    )


def _more(found: Mapping[str, Any]) -> str:
    if found["model"]["by_epochs"]:
        return "Whether more judgements would help was not tried: it takes a second training."
    if "half" not in found:
        return "Whether more judgements would help cannot be told from so few."
    out, half = found["out_of_fold"], found["half"]
    gain = half["log_loss"] - out["log_loss"]
    change = f"with half of the judgements {half['accuracy']:.1%} are right, with all {out['accuracy']:.1%}"
    if gain < _HARDLY:
        return f"More judgements of these images would hardly help ({change}); other images might."
    verdict = "would help" if gain >= _CLEARLY else "would help a little"
    return f"More judgements {verdict}: {change} (log-loss {half['log_loss']:.3f} and {out['log_loss']:.3f})."


def _fitted(found: Mapping[str, Any]) -> list[str]:
    fitted, given = found["model"]["n"], found["judgements"]["judgements"]
    if fitted == given:
        return []
    return [
        f"The network was fitted to {fitted:,} of the {given:,} judgements; the others chose its epoch, or tested it."
    ]


def _percent(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:.1%} ({100 * estimate['low']:.1f}–{100 * estimate['high']:.1f})"
