"""onnxruntime-web, which runs networks in a browser: one version, verified by its content."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from twinrank.core.cache_folder import cache_folder
from twinrank.core.files import read_bytes, replacing
from twinrank.core.packages import PackageFailed, npm_files
from twinrank.errors import InputError

VERSION = "1.30.0"
NAME = f"onnxruntime-web {VERSION}"
LICENCE = f"""{NAME} is under the MIT License.

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
_PACKAGE = f"onnxruntime-web@{VERSION}"
_DIGESTS = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_LARGEST = 32 << 20
"""Bytes of a file."""


class WebRuntime(NamedTuple):
    """The two files of the runtime, compressed by gzip.

    Attributes:
        script: Module of JavaScript.
        machine: WebAssembly. It uses one thread unless a page asks for more.
    """

    script: bytes
    machine: bytes


def web_runtime(say: Callable[[str], None] = lambda line: None) -> WebRuntime:
    """The runtime from the cache, or from npm; then cached.

    Args:
        say: Listener for a line where it is fetched.

    Raises:
        InputError: It is not to be had, or the cache cannot be written.
    """
    cached = [cache_folder() / f"{_PACKAGE}-{name}.gz" for name in _DIGESTS]
    try:
        return WebRuntime(*_verified(dict(zip(_DIGESTS, map(read_bytes, cached), strict=True))))
    except (InputError, PackageFailed):
        say(f"{_PACKAGE}: npm fetches 33 MB")
    try:
        files = npm_files(_PACKAGE, [f"dist/{name}" for name in _DIGESTS], _LARGEST)
        packed = _verified({name: gzip.compress(each, mtime=0) for name, each in zip(_DIGESTS, files, strict=True)})
    except PackageFailed as error:
        raise InputError(
            f"{_PACKAGE}: cannot be had ({error}); try again where npm is installed and reaches its registry"
        ) from error
    for path, content in zip(cached, packed, strict=True):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return WebRuntime(*packed)


def _verified(packed: Mapping[str, bytes]) -> list[bytes]:
    """Compressed files, by name.

    Raises:
        PackageFailed: One is another than that of the version.
    """
    for name, content in packed.items():
        try:
            digest = hashlib.sha256(gzip.decompress(content)).hexdigest()
        except (OSError, EOFError, zlib.error) as error:
            raise PackageFailed(f"{name} is damaged") from error
        if digest != _DIGESTS[name]:
            raise PackageFailed(f"{name} is another than that of {_PACKAGE} (SHA-256 differs)")
    return [*packed.values()]
