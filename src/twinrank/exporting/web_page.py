"""A page with a network in it: people draw two images, and the browser compares them."""

import gzip
from pathlib import Path

from twinrank import __version__
from twinrank.core.files import read_bytes, write_text
from twinrank.errors import InputError
from twinrank.exporting.web_runtime import LICENCE, NAME, WebRuntime
from twinrank.inference.exported import ExportedNetwork
from twinrank.inference.form import ImageForm
from twinrank.inference.spots import Spots
from twinrank.reporting.served_page import browser_page


def require_drawn(form: ImageForm) -> None:
    """Refuse networks of images that nobody draws.

    A browser reads and scales photographs otherwise than training did, so its predictions would be others.

    Args:
        form: Images that the network takes.

    Raises:
        InputError: They are no drawings.
    """
    if not form.drawn:
        raise InputError(
            f"{form.name}: takes photographs, and `format` web makes a page to draw small grey images on; use"
            " 'twinrank serve', or `format` onnx"
        )


def write_page(graph: Path, out: Path, runtime: WebRuntime) -> None:
    """Write one HTML file that needs no server and no other file.

    Args:
        graph: File of ONNX, see :mod:`twinrank.exporting.network`, of a network whose images are drawn.
        out: HTML file.
        runtime: onnxruntime-web.

    Raises:
        InputError: The file cannot be written, or the network cuts off margins, which the page does not.
    """
    network = ExportedNetwork(graph, 1)
    if network.record["images"]["trim"]:
        raise InputError(f"{graph}: cuts off margins, which the page does not; use `format` onnx")
    channels, height, width = network.form.shape
    spots = Spots.of(height, width, graph)
    about = {
        "name": network.record["model"],
        "network": network.record["model"],
        "channels": channels,
        "height": height,
        "width": width,
        "any_size": False,
        "drawn": True,
        "features": network.features,
        "levels": "levels" in network.outputs,
        "scale": 1.0 if network.calibration is None else network.calibration.scale,
        "nu": network.nu,
        "spots": {"side": spots.side, "tops": [*spots.tops], "lefts": [*spots.lefts]},
    }
    blocks = {**runtime._asdict(), "graph": gzip.compress(read_bytes(graph), mtime=0)}
    origin = f"Your browser computes all this; nothing leaves the page. Made by twinrank {__version__}, with {NAME}."
    write_text(out, browser_page(about, blocks, origin, LICENCE))
