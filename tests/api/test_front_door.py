"""``import twinrank as tr``: what it offers, and what it loads."""

import subprocess
import sys

import pytest

import twinrank as tr


def loaded(code: str) -> set[str]:
    """Modules that a fresh interpreter has after some code."""
    code = f"import sys, twinrank as tr; {code}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_import_loads_nothing_heavy() -> None:
    assert not {"numpy", "torch", "sklearn"} & loaded("tr.InputError; dir(tr); tr.__version__")


def test_pairs_and_names_of_networks_need_no_torch() -> None:
    assert "torch" not in loaded("tr.load_pairs; tr.Judgements; tr.TrainConfig; tr.list_models()")


@pytest.mark.parametrize("name", tr.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    found = getattr(tr, name)
    assert found.__name__ == {"PairData": "Judgements"}.get(name, name)
    assert found.__doc__
    assert name in dir(tr)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'twinrank' has no attribute 'fitted'"):
        _ = tr.fitted  # pyright: ignore[reportAttributeAccessIssue]


def test_all_names_are_sorted_and_each_has_a_module() -> None:
    assert list(tr._MODULES) == tr.__all__ == sorted(tr.__all__)
