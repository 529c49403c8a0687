"""Files of models at the Hugging Face Hub, from its cache or the network."""

import socket
import urllib.parse
import urllib.request
from pathlib import Path

from twinrank.errors import InputError

_MISSING = "huggingface_hub is not installed; install it with: pip install 'twinrank[transformers]'"


def fetched(name: str, file: str) -> Path | None:
    """A file of a model; None if the model has none of that name.

    Where the Hub has no address, that is found out at once: its library would try for half a minute.

    Args:
        name: Name of the model.
        file: Name of the file.

    Raises:
        OSError: Neither the cache nor the network has it.
        ValueError: No model can have that name.
        InputError: The Hub's library is not installed.
    """
    try:
        from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as error:
        raise InputError(_MISSING) from error
    cached = try_to_load_from_cache(name, file)
    if isinstance(cached, str):
        return Path(cached)
    if not urllib.request.getproxies():
        socket.getaddrinfo(urllib.parse.urlsplit(constants.ENDPOINT).hostname, 443)
    try:
        return Path(hf_hub_download(name, file))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        return None
