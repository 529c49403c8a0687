"""docs/guide.md and docs/models.md say what is so."""

import re
import shlex
from pathlib import Path

import pytest

from twinrank.cli.main import main
from twinrank.models.profile import describe_models

DOCS = Path(__file__).parents[1] / "docs"
SPANS = re.findall(r"`([^`\n]+)`", (DOCS / "guide.md").read_text(encoding="utf-8"))
DATA = "--train missing/train.npz --val missing/val.npz"
TRAININGS = [span for span in SPANS if span.startswith("twinrank train") and "MODEL" not in span]
OTHERS = ("--batch", "--train", "--seeds", "--simple", "--layers 3,3,3 --epochs")
FLAGS = sorted({span for span in SPANS if span.startswith("--") and not span.startswith(OTHERS)})


def refused(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(command)[1:])
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", TRAININGS)
def test_every_training_command_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing/train.npz" in refused(command.replace("DATA", DATA), capsys)


@pytest.mark.parametrize("flags", FLAGS)
def test_every_flag_is_understood(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    if flags == "--precision float16":
        exists = DATA.replace("missing/train.npz", __file__).replace("missing/val.npz", __file__)
        assert "float16, which needs CUDA" in refused(f"twinrank train resnet_optimized {exists} {flags}", capsys)
    else:
        assert "missing/train.npz" in refused(f"twinrank train resnet_optimized {DATA} {flags}", capsys)


def test_the_page_of_networks_has_their_costs() -> None:
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    for model in describe_models():
        row = f"| `{model['name']}` | {model['stage'] or 'ours'} | {model['parameters']:,} | {model['macs']:,} |"
        assert row in page
