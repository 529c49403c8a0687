import pytest

from twinrank.config import BenchmarkConfig, TrainConfig
from twinrank.core.values import fits, with_values
from twinrank.errors import InputError


def test_a_number_beyond_floats_is_refused() -> None:
    with pytest.raises(InputError, match=r"^seed is 1000*…0*; it must be at least 0 and at most 1\.8e\+308$"):
        BenchmarkConfig(seed=10**400)
    with pytest.raises(InputError, match=r"^batch_size is -10*…0*; it must be at least 2 and at most"):
        TrainConfig(batch_size=-(10**400))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k" * 5000: 1}, "unknown key 'kkk"),
        ({None: 1}, "unknown key 'None'"),
        ({"lr": "x" * 5000}, "'lr' is 'xxx"),
        ({"lr": ["x"] * 5000}, "'lr' is \\['x'"),
    ],
)
def test_names_and_values_are_shown_in_part(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^recipe: {message}") as caught:
        with_values(TrainConfig(), values, "recipe")
    assert len(str(caught.value).partition("; it must be")[0]) < 2000


def test_true_is_not_one() -> None:
    from typing import Literal

    assert fits(1, Literal[0, 1])
    assert not fits(True, Literal[0, 1])
