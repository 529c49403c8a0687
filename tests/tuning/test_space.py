import re
from dataclasses import replace
from pathlib import Path

import pytest

from twinrank.config import RunSpec
from twinrank.core.yaml_files import packaged_names
from twinrank.errors import InputError
from twinrank.models.registry import entry
from twinrank.tuning.space import SPACES, Range, read_space, with_choices

SPEC = RunSpec("order_net", entry("order_net").train)


def space(folder: Path, text: str) -> str:
    (folder / "own.yaml").write_text(text)
    return str(folder / "own.yaml")


def test_every_space_is_valid_and_the_guides_is_the_guides() -> None:
    for name in packaged_names(SPACES):
        assert read_space(name, SPEC)
    assert read_space("guide", SPEC) == {
        "train.lr": Range(1e-4, 1e-2, log=True),
        "train.weight_decay": Range(1e-5, 1e-3, log=True),
    }


def test_the_example_of_the_page_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert read_space(space(tmp_path, text), RunSpec("resnet_optimized", entry("resnet_optimized").train))


def test_ranges_have_the_type_of_their_key_and_choices_are_kept(tmp_path: Path) -> None:
    text = "train.shift: {low: 0, high: 3}\ntrain.ema: {low: 0, high: 0.5}\noptions.width: [8, 16]\n"
    text += "train.patience: {low: 2, high: 8, log: true}\n"
    found = read_space(space(tmp_path, text), SPEC)
    assert found["options.width"] == [8, 16]
    low, patience = found["train.ema"], found["train.patience"]
    assert isinstance(low, Range)
    assert (type(low.low), low.log) == (float, False)
    assert patience == Range(2, 8, log=True)
    fusions = "options.fusions: [[difference], [difference, product]]"
    several = read_space(space(tmp_path, fusions), RunSpec("resnet_fusion", entry("resnet_fusion").train))
    assert several == {"options.fusions": [["difference"], ["difference", "product"]]}


def test_chosen_values_replace_a_trainings_own() -> None:
    spec = with_choices(replace(SPEC, options={"levels": 4}), {"train.lr": 0.5, "options.width": 8}, "here")
    assert (spec.train.lr, spec.train.epochs, spec.options) == (0.5, SPEC.train.epochs, {"levels": 4, "width": 8})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.lrr: [1, 2]", "own.yaml: unknown key 'train.lrr'; did you mean 'train.lr'"),
        ("lr: {low: 1, high: 2}", "unknown key 'lr'"),
        ("options.feat_dim: [8, 16]", "unknown key 'options.feat_dim'"),
        ("train.seed: [1, 2]", "'train.seed' is not searched: a lucky seed is no better value"),
        ("train.epochs: [1, 2]", "'train.epochs' is not searched: trials are compared epoch by epoch"),
        ("train.monitor: [f1, accuracy]", "'train.monitor' is not searched"),
        ("train.lr: {low: 1e-2, high: 1e-3}", "'train.lr' goes from 0.01 to 0.001; low must be below high"),
        ("train.lr: {low: 1e-2, high: .inf}", "'train.lr' goes from 0.01 to inf; both must be a number"),
        ("train.lr: {low: a, high: 1}", "'train.lr' goes from 'a' to 1; both must be a number"),
        ("train.lr: {low: 0, high: 1}", "'train.lr': lr is 0.0; it must be above 0"),
        ("train.ema: {low: 0, high: 0.5, log: true}", "goes from 0, which has no logarithm; low must be above 0"),
        ("train.lr: {low: 1e-3, high: 1e-2, log: 1}", "'train.lr': log is 1; it must be true or false"),
        ("train.lr: {low: 1e-3}", "'train.lr' is {'low': 0.001}; it must be a range such as"),
        ("train.lr: {low: 1e-3, high: 1e-2, lug: true}", "it must be a range such as"),
        ("train.lr: 1e-3", "'train.lr' is 0.001; it must be a range such as"),
        ("train.shift: {low: 0.5, high: 3}", "'train.shift' goes from 0.5 to 3; both must be a whole number"),
        ("train.warmup: {low: 0.1, high: 3}", "'train.warmup': warmup is 3.0; it must be at least 0 and at most 1"),
        ("train.loss: [bce, hinge]", "'train.loss': 'loss' is 'hinge'; it must be one of bce, focal"),
        ("train.loss: {low: 1, high: 2}", "'train.loss' must be one of bce, focal; give a list of choices"),
        ("train.swap: {low: 0, high: 1}", "'train.swap' must be true or false; give a list of choices"),
        ("options.levels: [1, 2]", "'options.levels': model 'order_net': option 'levels' is 1; it must be 2 to 4096"),
        ("train.level_weight: [1, 2]", "'train.level_weight': `level_weight` is 1, but only fresh pairs or a teacher"),
        ("train.precision: [auto, float16]", "'train.precision': precision is float16, which needs CUDA"),
        ("options.width: [8]", "'options.width' is [8]; give two choices or more, each once"),
        ("options.width: [8, 16, 8]", "give two choices or more, each once"),
        ("[train.lr]", "a space is a mapping of train.KEY or options.KEY"),
        ("{}", "a space is a mapping of train.KEY or options.KEY"),
        ("{", "own.yaml: not valid YAML"),
    ],
)
def test_spaces_that_are_wrong_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_space(space(tmp_path, text), SPEC)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_space_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="space 'guid' does not exist; choose guide, order_net, or give a YAML file"):
        read_space("guid", SPEC)
