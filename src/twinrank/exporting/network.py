"""A network of a run as a file of ONNX."""

import base64
from pathlib import Path
from typing import Any, cast

import numpy as np

from twinrank.core.files import read_json, replacing, sha256
from twinrank.core.npz import read_written
from twinrank.core.provenance import provenance
from twinrank.core.run_records import uses_as_json
from twinrank.errors import InputError
from twinrank.exporting.graph import graph_of
from twinrank.inference.exported import FORMAT, ExportRecord, ImagesRecord, metadata
from twinrank.inference.network import Network
from twinrank.runs import RunFolder

_NO_GRAPH = "huggingface", "timm"
"""Networks of other libraries, whose graphs depend on these."""
_MOST_HASHES = 20_000
"""Images of a training whose hashes a file has: 213 kB of them."""


def write_network(run: RunFolder, path: Path, command: str = "") -> None:
    """Write the network of a run as a file of ONNX.

    Args:
        run: Run with weights.
        path: File to write.
        command: Command line, which the file keeps.

    Raises:
        InputError: The run has no weights, the network cannot become a graph, or the file cannot be written.
    """
    import onnx

    network = Network(run)
    config = run.read_config()
    model = network.model.cpu()
    if (name := config["model"]["name"]) in _NO_GRAPH:
        raise InputError(f"{run.path}: the graph of {name} depends on its library; use `format` safetensors")
    graph = graph_of(model, network.form.shape)
    if model.trim and not graph.sizes:
        raise InputError(f"{run.path}: cuts off margins, and its graph takes images of one size; use safetensors")
    made = graph.model
    onnx.helper.set_model_props(made, metadata(record_of(run, network, command)))
    _name_sizes(made, graph.sizes)
    with replacing(path) as temporary:
        temporary.write_bytes(made.SerializeToString())


def record_of(run: RunFolder, network: Network, command: str = "") -> ExportRecord:
    """What a file says besides the graph.

    Args:
        run: Run.
        network: Its network.
        command: Command line.
    """
    config, form = run.read_config(), network.form
    images: ImagesRecord = {
        "shape": [*form.shape],
        "resized": form.resized,
        "exact": form.exact,
        "columns": dict(form.columns),
        "trim": network.model.trim,
    }
    if form.reading is not None:
        images["reading"] = form.reading.to_json()
    if form.question is not None:
        images["question"] = form.question
    optional: dict[str, Any] = {}
    if network.calibration is not None:
        optional["calibration"] = {"scale": network.calibration.scale, "nu": network.calibration.nu}
    if run.panel.is_file():
        panel = read_written(run.panel, {"features": "f"}, "the features of a panel")["features"]
        optional["panel"] = base64.b64encode(np.ascontiguousarray(panel, "<f4").tobytes()).decode()
    if (hashes := run.train_images()) is not None and len(hashes) <= _MOST_HASHES:
        optional["training_images"] = base64.b64encode(np.ascontiguousarray(hashes, "<u8").tobytes()).decode()
    if config.get("warnings"):
        optional["warnings"] = config["warnings"]
    for key, path in (("score_prior", run.score_prior), ("judging", run.judging), ("simple_rule", run.simple_rule)):
        if path.is_file():
            optional[key] = read_json(path)
    record: dict[str, Any] = {
        "format": FORMAT,
        "model": config["model"]["name"],
        "weights_sha256": sha256(run.weights),
        "arithmetic": "float32",
        "track": network.track,
        "used_in_training": {digest: uses_as_json(uses) for digest, uses in network.used_in_training.items()},
        "contents": {
            file["content_sha256"]: file["sha256"] for file in config["data"].values() if "content_sha256" in file
        },
        "images": images,
        "nu": network.nu,
        **optional,
        **provenance(command),
    }
    return cast(ExportRecord, record)


def _name_sizes(model: Any, sizes: bool) -> None:
    """Names in place of numbers for the sizes that are free, as programs show them."""
    names = {"images": ("images", None, "height" if sizes else None, "width" if sizes else None)}
    names |= dict.fromkeys(("left", "right", "logit"), ("pairs", None))
    names |= dict.fromkeys(("features", "levels", "score"), ("images", None))
    for each in [*model.graph.input, *model.graph.output]:
        for dim, name in zip(each.type.tensor_type.shape.dim, names[each.name], strict=False):
            if name is not None:
                dim.dim_param = name
