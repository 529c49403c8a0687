"""Model cards: what a network is for, how good it is, and how it is used."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from twinrank.core.files import read_json, sha256
from twinrank.core.provenance import provenance
from twinrank.errors import InputError
from twinrank.exporting.check import CheckRecord
from twinrank.inference.form import ImageForm
from twinrank.reporting.contents import FileMetrics, metrics_of, read_run
from twinrank.reporting.formats import interval, metric_name, value
from twinrank.runs import FIT, RunFolder, fitted_run

_WHAT = "It predicts which of two images ranks higher. The logit of a pair is positive where it is the left one."
_SHOWN = "accuracy", "log_loss", "ece"
"""Metrics of a card."""
_ITSELF = "This network had never seen them."
_BEFORE = "A network with the same settings was scored there, before this one was fitted to more."
_LICENCE = "twinrank itself: Apache-2.0. Weights are licensed as the images and judgements that they were fitted to."


def model_card(
    title: str, use: str | None, runs: Sequence[Path], form: ImageForm, found: CheckRecord | None, command: str = ""
) -> str:
    """A page about an exported predictor, in Markdown.

    Args:
        title: Name of the file or folder.
        use: Name as ``load_predictor`` takes it; None for a page of a browser.
        runs: Run folders of its networks.
        form: Images that it takes.
        found: What the check found; None where nothing was computed anew.
        command: Command that made it.
    """
    configs = [RunFolder(run).read_config() for run in runs]
    parts = [
        [f"# {title}", _WHAT, *_question(form)],
        ["## Data", *_data(runs, configs)],
        ["## Figures", *_figures(runs)],
        ["## Limits", *_limits(form, configs)],
        *([] if found is None else [["## Against the original", *check_lines(found)]]),
        ["## Licence", *_licences(configs)],
        ["## How to use it", *_usage(use, form)],
        ["## Origin", *_origin(configs, command)],
    ]
    return "\n\n".join(f"{heading}\n\n{chr(10).join(lines)}" for heading, *lines in parts) + "\n"


def check_lines(found: CheckRecord) -> list[str]:
    """What a check found, as lines of Markdown and of the command line.

    Args:
        found: What the check found.
    """
    accuracy, speed, size = found["accuracy"], found["images_per_second"], found["bytes"]
    return [
        f"- {found['pairs']:,} pairs of {found['file']} (SHA-256 {found['sha256'][:12]})",
        f"- largest difference of two logits: {found['largest_difference']:.2g}, of two probabilities:"
        f" {found['largest_difference_of_probabilities']:.2g}",
        f"- decisions alike: {found['same_decisions']:.2%}",
        f"- accuracy: {accuracy['torch']:.2%} with torch in float32, {accuracy['onnx']:.2%} as exported",
        f"- images a second: {speed['torch']:,} with torch in float32, {speed['onnx']:,} as exported",
        f"- bytes: {size['torch']:,} of weights, {size['onnx']:,} as exported",
    ]


def _question(form: ImageForm) -> list[str]:
    if form.question is None:
        return []
    return ["", "People judged pairs by this question:", "", f"> {escape(form.question, quote=False)}"]


def _data(runs: Sequence[Path], configs: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for run, config in zip(runs, configs, strict=True):
        for part, file in config["data"].items():
            count = f"{file['n']:,} pairs, " if "n" in file else ""
            lines.append(f"- {run.name}, {part}: {file['path']}, {count}SHA-256 {file['sha256']}")
    return lines


def _figures(runs: Sequence[Path]) -> list[str]:
    lines = ["| network | file | metric | value | 95% interval | rows |", "| --- | --- | --- | --- | --- | --- |"]
    notes = []
    for run in runs:
        if (held_out := _held_out(run)) is not None:
            whose = _BEFORE if held_out.role == "used" else _ITSELF
            lines += _rows(run.name, held_out)
            notes.append(f"- {run.name}, {held_out.key}: {held_out.rows}; `twinrank fit` held them out. {whose}")
        for each in read_run(run).metrics.values():
            lines += _rows(run.name, each)
            notes.append(f"- {run.name}, {each.key}: {each.rows}")
            notes += [f"- {run.name}, {each.key}: {line}" for line in each.warnings]
    if not notes:
        return ["The run folder has no evaluation; `twinrank evaluate` makes one."]
    return [*lines, "", *dict.fromkeys(notes)]


def _held_out(run: Path) -> FileMetrics | None:
    """What ``twinrank fit`` found on the images that it held out; None for other runs.

    They are a test of this network, or of one before it, and then used.
    """
    folder = run.resolve().parent
    if not (folder / FIT).is_file() or fitted_run(folder) != run.resolve():
        return None
    found = read_json(folder / FIT)
    if not isinstance(found, dict) or "test" not in found:
        return None
    itself = found["test"].get("weights_sha256") == sha256(RunFolder(run).weights)
    return metrics_of("test", found["test"], "test" if itself else "used")


def _rows(name: str, each: FileMetrics) -> list[str]:
    return [
        f"| {name} | {each.key} | {metric_name(metric)} | {value(estimate, metric)} |"
        f" {interval(estimate, metric)} | {estimate.n:,} |"
        for metric, estimate in each.metrics.items()
        if metric in _SHOWN
    ]


def _limits(form: ImageForm, configs: Sequence[dict[str, Any]]) -> list[str]:
    channels, height, width = form.shape
    kind = "grey" if channels == 1 else "RGB"
    lines = [
        f"- It takes {kind} images of {height} x {width} pixels, as in training. Others are refused, or resized on"
        " demand.",
        "- It was measured on the files above alone. Images of another kind may be ranked worse, or at random.",
        "- Its probabilities are about votes like those of its training.",
    ]
    if form.reading is not None:
        chosen = (f"{name} {_in_words(value)}" for name, value in form.reading.to_json().items() if value is not None)
        lines.append(f"- Image files are read like this: {', '.join(chosen)}.")
    if any(config["model"]["options"].get("trim") for config in configs):
        lines.append("- Margins of one colour are cut off before an image goes into the graph.")
    warnings = [line for config in configs for line in config.get("warnings", ())]
    return [*lines, *(f"- {line}" for line in dict.fromkeys(warnings))]


def _in_words(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def _licences(configs: Sequence[dict[str, Any]]) -> list[str]:
    lines = [_LICENCE]
    for config in configs:
        if "pretrained" in config:
            known = config["pretrained"]
            lines.append(f"It began with the weights {known['source']}, licence {known.get('licence') or 'unknown'}.")
    return [*dict.fromkeys(lines)]


def _usage(use: str | None, form: ImageForm) -> list[str]:
    if use is None:
        return [
            "Open index.html in a browser. The network is in that file, which needs neither a server nor a connection."
            " The page covers the images that people draw as the benchmark of occluded digits does."
        ]
    shape = ", ".join(map(str, form.shape))
    return [
        "```python",
        "import numpy as np",
        "import twinrank as tr",
        "",
        f'predictor = tr.load_predictor("{use}")',
        f"left, right = np.random.default_rng(0).integers(0, 256, (2, 5, {shape}), np.uint8)",
        "print(predictor.predict_proba(left, right))  # (5, 2): P(right ranks higher), P(left ranks higher)",
        "```",
    ]


def _origin(configs: Sequence[dict[str, Any]], command: str) -> list[str]:
    made = provenance(command)
    commit = made["commit"] or "unknown"
    lines = [f"- exported by `{command or 'twinrank export'}`, twinrank {made['version']}, commit {commit}"]
    for config in configs:
        lines.append(f"- trained by `{config.get('command', 'unknown')}`, commit {config.get('commit') or 'unknown'}")
    return lines


def require_runs(runs: Sequence[Path]) -> None:
    """Refuse what is no run folder.

    Raises:
        InputError: One has no weights.
    """
    for run in runs:
        if not RunFolder(run).weights.is_file():
            raise InputError(f"{run}: has no weights to export; give a run folder that training has finished")
