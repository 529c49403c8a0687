"""All images that cannot be used, in one message."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image, defect in sorted(defects.items()):
        kinds[defect.kind, defect.remedy].append(image)
    parts = []
    for (kind, remedy), images in kinds.items():
        defect = defects[images[0]]
        if isinstance(defect, NeedsRange):
            remedy = _range_that_fits(defect, images, measured)
        shown = ", ".join(_example(names[image], defects[image].detail) for image in images[:_SHOWN])
        more = f" and {len(images) - _SHOWN:,} more" if len(images) > _SHOWN else ""
        parts.append(f"{kind}: {len(images):,} ({shown}{more}); {remedy}")
    of_all = f"{counted(len(defects), 'image', 'images')} of {len(names):,} cannot be used"
    return InputError(f"{where}: {of_all}. Images {'. Images '.join(parts)}")


def _range_that_fits(defect: NeedsRange, images: Sequence[int], measured: Callable[[int], tuple[float, float]]) -> str:
    if defect.in_colour:
        return "state `range` 0, 65535 to keep the upper 8 bits, or save them with 8 bits"
    found = []
    for image in images[:_MEASURED]:
        with suppress(UnusableImage):
            found.append(measured(image))
    remedy = "state the `range` of values that become black and white"
    if not found:
        return remedy
    whose = "their values are" if len(images) <= _MEASURED else f"those of the first {_MEASURED} are"
    return f"{remedy}; {whose} {min(low for low, _ in found):g} to {max(high for _, high in found):g}"


def _example(name: str, detail: str) -> str:
    return f"{quoted(name)}: {detail}" if detail else quoted(name)
