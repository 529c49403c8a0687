"""Figures of images: saliency, cycles, and rows of examples. Each function returns a figure."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.special import expit

from twinrank.evaluation.order import Cycle
from twinrank.reporting.canvas import INK, MUTED, SERIES


def saliency_sheet(
    xa: np.ndarray, xb: np.ndarray, logit: np.ndarray, left: np.ndarray, right: np.ndarray, captions: Sequence[str]
) -> Figure:
    """Pairs with the spots that a decision rests on: blue for "left ranks higher", orange for "right".

    Args:
        xa: Left images, (N, C, H, W).
        xb: Right images, the same.
        logit: Predicted logits, float (N,).
        left: Contribution of the left images' pixels to the logit, float (N, H, W).
        right: Contribution of the right images' pixels, the same.
        captions: Texts, N of them.
    """
    lines = -(-len(xa) // 2)
    figure = Figure(figsize=(7.2, 0.6 + 2.0 * lines), layout="constrained")
    axes = figure.subplots(lines, 4, squeeze=False)
    colours = LinearSegmentedColormap.from_list("sides", [SERIES[1], "#ffffff", SERIES[0]])
    shown = None
    for place, each in enumerate(axes.flat):
        each.set_axis_off()
        row, side = divmod(place, 2)
        if row >= len(xa):
            continue
        images, heats = (xa, left) if side == 0 else (xb, right)
        heat = heats[row] / max(np.abs(left[row]).max(), np.abs(right[row]).max(), 1e-6)
        _draw_image(each, images[row])
        # The square root keeps weak spots visible on a dark image.
        shown = each.imshow(heat, cmap=colours, vmin=-1, vmax=1, alpha=0.8 * np.sqrt(np.abs(heat)))
        if side == 0:
            decision = f"{'left' if logit[row] > 0 else 'right'} higher, logit {logit[row]:+.2f}"
            each.set_title(f"{captions[row]}\n{decision}", loc="left", size=8, color=INK, parse_math=False)
    assert shown is not None
    bar = figure.colorbar(shown, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label(
        "how much the logit falls\nwhen the spot is covered,\n1 is the pair's largest change", size=8, color=INK
    )
    bar.ax.tick_params(labelsize=8)
    return figure


def cycle_sheet(images: np.ndarray, cycles: Sequence[Cycle], captions: Sequence[str]) -> Figure:
    """A row for each cycle: its three images and the first again, and the confidence of each step between them.

    Args:
        images: Images, (M, C, H, W), uint8 or float in [0, 1].
        cycles: Cycles among the images.
        captions: Texts, M of them.
    """
    lines = max(1, len(cycles))
    figure = Figure(figsize=(7.2, 0.6 + 1.6 * lines), layout="constrained")
    heading = "Each image is predicted to rank higher than the next: with this logit, and this probability"
    figure.suptitle(heading if cycles else "There is no cycle of three images", color=INK, size=10)
    axes = figure.subplots(lines, 7, squeeze=False, width_ratios=[3, 2, 3, 2, 3, 2, 3])
    for each in axes.flat:
        each.set_axis_off()
    for line, cycle in zip(axes, cycles, strict=False):
        for each, place in zip(line[::2], (*cycle.images, cycle.images[0]), strict=True):
            _draw_image(each, images[place])
            each.set_title(captions[place], size=7, color=MUTED, parse_math=False)
        for each, logit in zip(line[1::2], cycle.logits, strict=True):
            each.text(0.5, 0.5, ">", ha="center", va="center", size=20, color=SERIES[0], transform=each.transAxes)
            sure = f"{logit:+.2f}\n{expit(logit):.1%}"
            each.text(0.5, 0.34, sure, ha="center", va="top", size=9, color=INK, transform=each.transAxes)
    return figure


def image_rows(rows: Mapping[str, np.ndarray]) -> Figure:
    """Rows of images, each under its name.

    Args:
        rows: Images by name, (K, C, H, W), uint8 or float in [0, 1]; as many in each row.
    """
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(1.2 + 0.8 * columns, 0.85 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for each, image in zip(line, images, strict=True):
            _draw_image(each, image)
            each.set(xticks=[], yticks=[])
            each.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK, size=9)
    return figure


def _draw_image(axes: Axes, image: np.ndarray) -> None:
    """Draw a (C, H, W) image, uint8 or float in [0, 1]."""
    axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
