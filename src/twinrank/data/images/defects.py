"""All images that cannot be used, in one message."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twinrank.core.messages import counted, first_few, quoted
from twinrank.data.images.decode import NeedsRange, UnusableImage
from twinrank.errors import InputError


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
            remedy = "state `range` 0, 65535 to keep the upper 8 bits, or save them with 8 bits"
            if not defect.in_colour:
                lows, highs = zip(*map(measured, images), strict=True)
                remedy = (
                    "state the `range` of values that become black and white;"
                    f" their values are {min(lows):g} to {max(highs):g}"
                )
        examples = [_example(names[image], defects[image].detail) for image in images]
        parts.append(f"{kind}: {len(images):,} ({first_few(examples)}); {remedy}")
    of_all = f"{counted(len(defects), 'image', 'images')} of {len(names):,} cannot be used"
    return InputError(f"{where}: {of_all}. Images {'. Images '.join(parts)}")


def _example(name: str, detail: str) -> str:
    return f"{quoted(name)}: {detail}" if detail else quoted(name)
