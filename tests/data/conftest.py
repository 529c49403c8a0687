"""What tests of pair files share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twinrank.data.pairs import PairData, load_pairs
from twinrank.errors import InputError


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """Loads a bad file and returns the message, which is one line and names the file at fault."""

    def load(path: Path, labels: Path | None = None, at_fault: Path | None = None) -> str:
        with pytest.raises(InputError) as caught:
            load_pairs(path, labels)
        line = str(caught.value)
        assert line.splitlines() == [line]
        assert line.startswith(str(at_fault or path))
        return line

    return load


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], PairData | str]:
    """Loads a file that may be bad and returns the pairs, or the message."""

    def load(path: Path) -> PairData | str:
        try:
            return load_pairs(path)
        except InputError as error:
            return str(error)

    return load
