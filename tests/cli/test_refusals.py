"""Bad input is refused in one short line, with exit code 2, before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from twinrank.cli.main import main

TRAIN = ["train", "order_net", "--train", "pairs.npz", "--val", "pairs.npz"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file that exists."""
    monkeypatch.chdir(tmp_path)
    Path("pairs.npz").touch()
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("twinrank: error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("twinrank: error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dat"], "unknown command 'dat'; did you mean 'data'? 'twinrank --help' lists them"),
        (["xyz"], "unknown command 'xyz'; 'twinrank --help' lists them"),
        (["data"], "COMMAND is missing after 'twinrank data'; it is one of check, show, split, fetch, make, fresh"),
        (["data", "peel", "x"], "unknown command 'peel'; it is one of check, show, split, fetch, make, fresh"),
        (["data", "split"], "VOTES and --out FOLDER are missing; 'twinrank data split --help' describes them"),
        (
            ["data", "split", "pairs.npz", "--out", "o", "--by", "row"],
            "--by: 'row' is unknown; it is one of image, group",
        ),
        (
            ["data", "split", "pairs.npz", "--out", "o", "--columns", "photo_1"],
            "--columns: 'photo_1' names no column; write a role and a column, such as left=photo_1",
        ),
        (
            ["data", "split", "pairs.npz", "--out", "o", "--columns", "left=a,left=b"],
            "--columns: left is there twice, with 'a' and 'b'; keep one",
        ),
        (["data", "split", "pairs.npz", "--out", "o", "--images", "d"], "--images: d: no such file or folder"),
        (["train"], "MODEL is missing after 'twinrank train'; 'twinrank train --help' lists what is possible"),
        (
            ["train", "ordernet"],
            "unknown model 'ordernet'; did you mean 'order_net'? 'twinrank train --help' lists them",
        ),
        (["--threads", "2"], "option '--threads' stands before the command; write 'twinrank COMMAND OPTION ...'"),
        (["predict"], "--data FILE is missing; 'twinrank predict --help' describes it"),
        (["tune", "x"], "--train FILE and --val FILE are missing; 'twinrank tune --help' describes them"),
        (["run"], "RECIPE is missing; 'twinrank run --help' describes it"),
        (["resume"], "RUN is missing; 'twinrank resume --help' describes it"),
        (
            ["data", "make", "--out", "d", "--severty", "3"],
            "unknown option '--severty'; did you mean '--severity'? 'twinrank data make --help' lists them",
        ),
        (
            ["predict", "--dat", "x"],
            "unknown option '--dat'; did you mean '--data'? 'twinrank predict --help' lists them",
        ),
        (
            [*TRAIN, "--widht", "3"],
            "unknown option '--widht'; did you mean '--width'? 'twinrank train order_net --help'",
        ),
        (["resume", ".", "x"], "unexpected argument 'x'; 'twinrank resume --help' describes what is accepted"),
        (["models", "--channels", "x"], "--channels: 'x' is not a whole number"),
        (["data", "make", "--out", "d", "--seed", "1e3"], "--seed: '1e3' is not a whole number"),
        ([*TRAIN, "--lr", "fast"], "--lr: 'fast' is not a number"),
        ([*TRAIN, "--threads", "two"], "--threads: 'two' is not a whole number"),
        (["run", "demo", "--workers"], "--workers INT: a value is missing; 'twinrank run --help' describes it"),
        (["data", "make", "--out", ""], "--out: the path is empty; name a file or a folder"),
        (
            ["grid", "--mode", "holdut"],
            "--mode: 'holdut' is unknown; did you mean 'holdout'? It is one of holdout, oof",
        ),
        ([*TRAIN, "--views", "3"], "--views: '3' is unknown; it is one of 1, 5"),
        (
            ["train", "resnet_fusion", *TRAIN[2:], "--layers", "3,x"],
            "--layers: '3,x' is not a list; write a whole number each, such as 3,3,3",
        ),
        (["data", "check", "a.npz"], "a.npz: no such file or folder; check the path"),
        (["train", "order_net", "--train", "a.npz", "--val", "pairs.npz"], "--train: a.npz: no such file or folder"),
        (["data", "check", "/dev/zero"], "/dev/zero: neither a file nor a folder"),
        (["predict", "--run", "a,,b", "--data", "pairs.npz"], "--run: 'a,,b': a folder between the commas has no name"),
        (["order", "c,pairs.npz", "pairs.npz"], "c: no such file or folder; check the path"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_arguments_are_refused_in_one_short_line(
    arguments: list[str], line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = refused(arguments, capsys)
    assert refusal.startswith(line)
    assert len(refusal) <= 200


@pytest.mark.parametrize(
    "arguments",
    [
        ["x" * 5000],
        ["data", "x" * 5000],
        ["train", "x" * 5000],
        ["models", "--" + "x" * 5000],
        ["resume", ".", "x" * 5000],
        ["models", "--channels", "1" * 5000],
        ["grid", "--mode", "x" * 5000],
        ["data", "check", "x" * 5000],
        ["predict", "--data", "pairs.npz", "--run", "x" * 5000],
        ["--" + "x" * 5000],
        ["models", "\x1b[31m\n"],
    ],
    ids=lambda value: " ".join(value)[:20],
)
def test_a_refusal_is_short_whatever_is_given(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = refused(arguments, capsys)
    assert len(refusal) <= 300
    assert refusal.isprintable()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["data", "make", "--out", "d", "--splits", "train,tests"], "'tests' is not a file of the benchmark"),
        (["data", "make", "--out", "d", "--severity", "9"], "--severity is 9; it must be at least 0 and at most 6"),
        (["data", "fresh", "--out", "pairs.npz", "--pairs", "0"], "--pairs is 0; it must be at least 1"),
        (["data", "fresh", "--out", "pairs.csv"], "ends in .npz; choose such a name with --out"),
        (["data", "check"], "FILE is missing; name one or more"),
        (["run", "nothing"], "recipe 'nothing' does not exist; choose ablations, ceiling, cpu, demo"),
        (["run", "demo", "--set", "train.epoch=3"], "unknown key 'epoch'; did you mean 'epochs'? It is one of epochs"),
        (["run", "demo", "--set", "train.epochs=many"], "'epochs' is 'many'; it must be a whole number"),
        (["run", "demo", "--set", "train.epochs=0"], "epochs is 0; it must be at least 1"),
        (["run", "demo", "--set", "epochs=3"], "unknown key 'epochs'; it is one of runs, model"),
        (["run", "demo", "--set", "train.monitor=loss"], "must be one of accuracy, f1, log_loss"),
        (["run", "demo", "--set", "train"], "write key=value"),
        (["run", "demo", "--set", "model.name=x"], "is not a key of a recipe"),
        (["run", "demo", "--set", "options.width=wide"], "option 'width' is 'wide'; it must be a whole number"),
        (["run", "demo", "--set", "train={"], "not valid YAML"),
        (["run", "demo", "--set", "options.levels=1"], "option 'levels' is 1; it must be 2 to 4096"),
        (["run", "demo", "--workers", "0"], "--workers is 0; use 1 or more"),
        ([*TRAIN, "--lr", "-1"], "--lr is -1.0; it must be above 0"),
        ([*TRAIN, "--threads", "1000000"], "--threads is 1000000; use 1 to 1024"),
        ([*TRAIN, "--rotate", "1e9"], "--rotate is 1000000000.0"),
        ([*TRAIN, "--distill_weight", "2"], "--distill-weight is 2.0; it must be at least 0 and at most 1"),
        (["models", "ordernet"], "model 'ordernet' does not exist; did you mean 'order_net'?"),
        (["models", "--channels", "2"], "images of 2 channels and 28 pixels: 1 or 3 channels are possible"),
        (["models", "--image-size", "-1"], "8 to 512 pixels"),
        (["resume", "."], ".: not a run folder"),
        (["evaluate", ".", "pairs.npz"], ".: not a run folder"),
        (["distill", "--teacher", ".", "--student", "order_net", *TRAIN[2:]], ".: not a run folder"),
        (["predict", "--run", ".", "--data", "pairs.npz"], ".: not a run folder"),
        (["order", ".", "pairs.npz"], ".: not a run folder"),
        (["report", "."], ".: not a run folder"),
        (["record", "--mean", "a|b=c,d"], "--mean: 'a|b=c,d' is not of the form TARGET=RUN,RUN"),
        (["record", "--mean", "a=."], ".: not a run folder (no config.json), nor a stack folder"),
        (["submit", "check", "pairs.npz", "--test", "pairs.npz"], "pairs.npz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_values_are_one_line_and_nothing_is_written(
    arguments: list[str], part: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert part in refused(arguments, capsys)
    assert [path.name for path in folder.iterdir()] == ["pairs.npz"]


def test_a_folder_with_a_comma_in_its_name_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a,b").mkdir()
    assert refused(["order", "a,b", "pairs.npz"], capsys).startswith("a,b: not a run folder")
    assert refused(["order", "c,d", "pairs.npz"], capsys).startswith("c: no such file or folder")


LIGHT = [
    ["--version"],
    ["--help"],
    ["data", "make", "--help"],
    ["dat"],
    ["data", "check", "nowhere.npz"],
    ["predict", "--data", "nowhere.npz"],
    ["resume", "nowhere"],
    ["resume", "."],
    ["audit", "."],
    ["order", ".", "."],
    ["evaluate", "nowhere", "nowhere.npz"],
    ["leaderboard", "nowhere"],
    ["report", "nowhere"],
    ["stack", "--out"],
    ["run", "nope"],
    ["run", "stack", "--set", "train.epochs=0"],
    ["train", "order_net", "--train", "nope.npz", "--val", "nope.npz"],
    ["seeds", "ordernet", "--train", ".", "--val", "."],
    ["tune", "order_net", "--train", ".", "--val", ".", "--space", "nope"],
    ["grid", "--mode", "oof", "--models", "nope"],
]
HEAVY = {"torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "jinja2", "joblib", "optuna", "lightgbm"}


def test_nothing_heavy_is_imported_for_it(tmp_path: Path) -> None:
    """One fresh process gets one command after the other, and says after which of them it has something heavy."""
    code = f"""
import sys
from twinrank.cli.main import main
for arguments in {LIGHT!r}:
    try:
        main(arguments)
    except SystemExit:
        pass
    if found := {HEAVY!r} & {{*sys.modules}}:
        sys.exit(f"{{arguments}} imports {{found}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-500:]
