"""All images that cannot be used, in one message."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twinrank.core.messages import counted, quoted
from twinrank.data.images.decode import NeedsRange, UnusableImage
from twinrank.errors import InputError

_SHOWN, _MEASURED = 20, 100
"""Images of a kind that are named, and images whose values are looked at for a range that fits."""


def refusal(
    where: Path,
    names: Sequence[str],
    defects: Mapping[int, UnusableImage],
    measured: Callable[[int], tuple[float, float]],
) -> InputError:
    """The error about all images that cannot be used: each kind of defect, with its count and first examples.

    Args:
        where: Folder or file that names the images.
        names: Names of all images.
        defects: What is wrong, by number of the image, at least one.
        measured: Gives the lowest and the highest value of an image of more than 8 bits.
    """
    defects, ranges = _measured(defects, measured)
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image, defect in sorted(defects.items()):
        kinds[defect.kind, defect.remedy].append(image)
    parts = []
    for (kind, remedy), images in kinds.items():
        defect = defects[images[0]]
        if isinstance(defect, NeedsRange):
            remedy = _range_that_fits(defect, images, ranges)
        shown = ", ".join(_example(names[image], defects[image].detail) for image in images[:_SHOWN])
        more = f" and {len(images) - _SHOWN:,} more" if len(images) > _SHOWN else ""
        parts.append(f"{kind}: {len(images):,} ({shown}{more}); {remedy}")
    of_all = f"{counted(len(defects), 'image', 'images')} of {len(names):,} cannot be used"
    return InputError(f"{where}: {of_all}. Images {'. Images '.join(parts)}")


def _measured(
    defects: Mapping[int, UnusableImage], measured: Callable[[int], tuple[float, float]]
) -> tuple[dict[int, UnusableImage], list[tuple[float, float]]]:
    """Defects, and the lowest and highest values of the first images that need a range; some have another defect."""
    found, ranges = dict(defects), []
    deep = [image for image, defect in defects.items() if isinstance(defect, NeedsRange) and not defect.in_colour]
    for image in sorted(deep)[:_MEASURED]:
        try:
            ranges.append(measured(image))
        except UnusableImage as defect:
            found[image] = defect
    return found, ranges


def _range_that_fits(defect: NeedsRange, images: Sequence[int], ranges: Sequence[tuple[float, float]]) -> str:
    if defect.in_colour:
        return "state `range` 0, 65535 to keep the upper 8 bits when you fit or train, or save them with 8 bits"
    remedy = "state the `range` of values that become black and white when you fit or train, or save them with 8 bits"
    if not ranges:
        return remedy
    whose = "their values are" if len(images) <= _MEASURED else f"those of the first {_MEASURED} are"
    return f"{remedy}; {whose} {min(low for low, _ in ranges):g} to {max(high for _, high in ranges):g}"


def _example(name: str, detail: str) -> str:
    return f"{quoted(name)}: {detail}" if detail else quoted(name)
