from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.inference.form import ImageForm

NATIVE = ImageForm("runs/native", (1, 8, 9), Reading((8, 9), "native", 1))


def test_files_of_a_native_training_are_cut_on_demand(tmp_path: Path) -> None:
    pixels = np.arange(12 * 13, dtype=np.uint8).reshape(12, 13)
    Image.fromarray(pixels).save(tmp_path / "larger.png")
    with pytest.raises(InputError, match=r"of other sizes; .* trained on 8 x 9; let `resize` take their middle"):
        NATIVE.folder(tmp_path)
    store = NATIVE.folder(tmp_path, Source(resize=True))
    np.testing.assert_array_equal(store.take(np.array([0])), pixels[None, None, 2:10, 2:11])


@pytest.mark.parametrize("resize", [False, True])
def test_arrays_are_never_rescaled_for_a_native_training(resize: bool) -> None:
    store = ImageStore.from_arrays(np.zeros((2, 1, 12, 13), np.uint8))
    with pytest.raises(InputError, match=r"images of 12 x 13 pixels; .* on 8 x 9; cut them, or add margins; do not"):
        NATIVE.fitted(store, Path("arrays"), resize)
