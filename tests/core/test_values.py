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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of adamw, muon"),
        ({"epochs": 1.5}, "epochs is 1.5; it must be a whole number"),
        ({"lr": "0.1"}, "lr is '0.1'; it must be a number"),
        ({"swap": 1}, "swap is 1; it must be true or false"),
        ({"patience": True}, "patience is True; it must be a whole number or null"),
        ({"rotate": float("nan")}, "rotate is nan; it must be at least 0 and at most 180"),
        ({"shift": 10**23}, "shift is 10*; it must be at least 0 and at most 512"),
        ({"brightness": 1e300}, r"brightness is 1e\+300; it must be at least 0 and at most 10"),
    ],
)
def test_impossible_values_are_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        TrainConfig(**values)


def test_true_is_not_one() -> None:
    from typing import Literal

    assert fits(1, Literal[0, 1])
    assert not fits(True, Literal[0, 1])
