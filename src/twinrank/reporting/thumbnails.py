"""Images as small pictures inside a page."""

import base64
import io

import numpy as np
from PIL import Image

_PIXEL_ART = 64
"""Images of at most this side are shown pixel for pixel."""
_QUALITY = 72


def data_uri(image: np.ndarray, side: int = 160) -> str:
    """An image as a data URI: a small one as a lossless PNG, a larger one reduced, as WebP.

    Args:
        image: Pixels (C, H, W), uint8, or float in [0, 1]; C is 1 or 3.
        side: Longest side of a reduced picture, in pixels.
    """
    if image.dtype.kind == "f":
        image = np.clip(np.rint(image * 255), 0, 255)
    pixels = np.ascontiguousarray(np.moveaxis(image.astype(np.uint8), 0, -1))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    buffer = io.BytesIO()
    if max(picture.size) <= _PIXEL_ART:
        kind = "png"
        picture.save(buffer, "PNG", optimize=True)
    else:
        kind = "webp"
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
