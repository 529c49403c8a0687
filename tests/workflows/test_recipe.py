import re
from pathlib import Path

import pytest

from twinrank.core.yaml_files import packaged_names
from twinrank.errors import InputError
from twinrank.workflows.recipe import RECIPES, read_recipe

TEN = {
    *("resnet_optimized_1.12", "resnet_fusion", "resnet_optimized", "seed_2025", "seed_2023", "seed_2024", "fpn"),
    *("resnet_fusion_seed42", "resnet_fusion_seed123", "resnet_fusion_seed456"),
}


def recipe(folder: Path, text: str) -> str:
    (folder / "own.yaml").write_text(text)
    return str(folder / "own.yaml")


@pytest.mark.parametrize("name", packaged_names(RECIPES))
def test_every_recipe_is_valid(name: str) -> None:
    found = read_recipe(name)
    assert found.runs or found.grids


@pytest.mark.parametrize("name", ["cpu", "guide"])
def test_the_ten_networks_are_there(name: str) -> None:
    assert read_recipe(name).runs.keys() >= TEN


def test_the_guide_has_the_guides_values() -> None:
    run = read_recipe("guide").runs["resnet_optimized_1.12"]
    values = run.train.epochs, run.train.batch_size, run.train.lr, run.train.weight_decay, run.train.loss
    assert values == (100, 64, 1e-3, 5e-4, "focal")
    assert (run.train.schedule, run.train.plateau_factor, run.train.plateau_patience) == ("plateau", 0.5, 3)
    assert run.options == {"mask": False, "antisymmetric": False}


def test_runs_share_values_and_may_differ(tmp_path: Path) -> None:
    runs = "runs:\n  fpn: {train: {epochs: 5}}\n  second: {model: fpn}\n  third: {model: fpn}"
    text = "train: {epochs: 3, lr: 1e-3}\n" + runs
    runs = read_recipe(recipe(tmp_path, text)).runs
    assert {name: (run.model, run.train.epochs, run.train.lr) for name, run in runs.items()} == {
        "fpn": ("fpn", 5, 1e-3),
        "second": ("fpn", 3, 1e-3),
        "third": ("fpn", 3, 1e-3),
    }
    changed = read_recipe(recipe(tmp_path, text), ["train.epochs=1", "options.width_mult=0.5"]).runs
    assert {(run.train.epochs, run.options["width_mult"]) for run in changed.values()} == {(1, 0.5)}


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    first = "  fpn: &base {train: &values {epochs: 5, lr: 1e-2}}\n"
    second = "  second: {<<: *base, model: fpn, train: {<<: *values, lr: 2e-2}}\n"
    runs = read_recipe(recipe(tmp_path, f"runs:\n{first}{second}")).runs
    assert [(run.train.epochs, run.train.lr) for run in runs.values()] == [(5, 1e-2), (5, 2e-2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: fpn", "unknown key 'modle'; did you mean 'model'"),
        ("{model: order_net, options: {views: 3}}", "views"),
        ("{runs: {leaderboard.md: {model: fpn}}}", "run 'leaderboard.md': this is a file beside the runs"),
        ("{runs: {fpn: {}, fpn.log: {model: fpn}}}", "run 'fpn.log': this is a file beside the runs"),
        ("{model: fpn, runs_of: cpu}", "'runs_of' has no place in a recipe without 'grids'; remove it"),
        ("{model: fpn, runs: {fpn: {}}}", "a recipe is a mapping with one of the keys 'model', 'runs' and 'grids'"),
        ("{model: fpn, trian: {}}", "unknown key 'trian'; did you mean 'train'"),
        ("{model: fpn, train: {learning_rate: 1}}", "'train': unknown key 'learning_rate'"),
        ("{model: fpn, train: {loss: hinge}}", "'loss' is 'hinge'; it must be one of bce, focal"),
        ("{model: fpn, train: 3}", "'train' is 3; it must be a mapping"),
        ("{model: fpnn}", "model 'fpnn' does not exist; did you mean 'fpn'"),
        ("{model: 3}", "'model' is 3; it must be a name"),
        ("runs: {}", "'runs' is empty"),
        ("runs: {../up: {model: fpn}}", "run '../up': names become folders"),
        ("runs: {a: {model: fpn, optoins: {}}}", "run 'a': unknown key 'optoins'; did you mean 'options'"),
        ("runs: {a: 3}", "run 'a' is 3; it must be a mapping"),
        ("runs: {fpn: {options: {width: 3}}}", "model 'fpn' has no option 'width'; did you mean 'width_mult'"),
        (
            "runs: {a: {model: fpn, teacher: b}, b: {model: fpn}}",
            "run 'a': 'teacher' is 'b', which is no run above it; there is none",
        ),
        ("runs: {a: {model: fpn, teacher: []}}", "run 'a': 'teacher' is empty; name a run above it, or some"),
        (
            "runs: {first: {model: fpn}, b: {model: fpn, teacher: [first, firts]}}",
            "run 'b': 'teacher' is 'firts', which is no run above it; did you mean 'first'",
        ),
        (
            "runs: {a: {model: fpn}, b: {model: fpn, teacher: [a, a]}}",
            "run 'b': 'teacher' has 'a' 2 times; name it once",
        ),
        (
            "runs: {a: {model: fpn}, b: {model: fpn, teacher: a}}",
            "run 'b': `distill_weight`, `level_weight` and `subclass_weight` are 0",
        ),
        (
            "runs: {a: {model: fpn}, b: {model: order_net, teacher: a, train: {level_weight: 1}}}",
            "run 'b': a: `level_weight` needs a teacher's levels, and there are none",
        ),
        (
            "runs: {a: {model: order_net}, b: {model: order_net, options: {levels: 5}},"
            " c: {model: fpn, teacher: [a, b], train: {subclass_weight: 1}}}",
            "run 'c': a and b: `subclass_weight` needs a teacher's levels, and there are none",
        ),
        (
            "runs: {a: {model: order_net}, b: {model: order_net, options: {levels: 5}, teacher: a,"
            " train: {level_weight: 1}}}",
            "run 'b': a: has 10 levels, and the student has 5",
        ),
        ("{model: fpn, train: {distill_weight: 0.5}}", "own.yaml: `distill_weight` is 0.5, but there is no teacher"),
        ("[", "not valid YAML"),
        ("{model: fpn, train: {seed: 1" + "0" * 400 + "}}", "not valid YAML"),
        ("{runs: {null: {model: fpn}}}", "not valid YAML"),
        (f"{{runs: {{? {'r' * 5000} : {{model: fpn}}}}}}", "rrr…': names become folders"),
        (f"{{model: {'m' * 5000}}}", "mmm…' does not exist"),
        (f"{{model: fpn, ? {'k' * 5000} : 1}}", "unknown key 'kkk"),
        ("{model: fpn, options: {layers: [[1]]}}", "option 'layers' is [[1]]; it must be a list"),
        ("model: 2020-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("model: fpn\ntrain:\n  lr: 1\n  epochs: 2\n  lr: 2", "key 'lr' of line 3 occurs again in line 5; keep one"),
        ("{runs: {fpn: {}, 'fpn': {}}}", "key 'fpn' of line 1 occurs again in line 1; keep one"),
    ],
)
def test_recipes_that_are_wrong_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        read_recipe(recipe(tmp_path, text))
    assert len(str(refused.value).replace(str(tmp_path), "")) < 800


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"recipe '.*' does not exist; choose ablations"):
        read_recipe(name)
