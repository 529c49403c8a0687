from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import RECORDED

from twinrank.benchmark.submission import check_submission
from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.data import batch_sizes
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.stream import stream_pairs
from twinrank.errors import InputError
from twinrank.inference.evaluate import predictions_of
from twinrank.inference.form import ImageForm
from twinrank.inference.label import write_predictions
from twinrank.inference.network import Network
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.train import train

MODELS = {"order_net": {"width": 4, "levels": 4}, "compare_net": {}}


@pytest.fixture(scope="module", params=MODELS)
def run(request: pytest.FixtureRequest, benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """With a comparator of latent levels, and with another one."""
    config = replace(entry(request.param).train, epochs=1, batch_size=96)
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    return train(
        RunSpec(request.param, config, MODELS[request.param]),
        *files,
        tmp_path_factory.mktemp("run") / "run",
        context=Context(threads=1),
    )


class Darker:
    """A predictor that needs no network."""

    form = ImageForm("darker", (1, 8, 8))

    def logits(self, data: Judgements) -> np.ndarray:
        return data.xb.mean((1, 2, 3)) - data.xa.mean((1, 2, 3))

    def ties(self, logit: np.ndarray) -> None:
        return None

    def calibrated(self, logit: np.ndarray) -> None:
        return None


@pytest.mark.parametrize("batches", [1, 3, 100])
def test_predictions_do_not_depend_on_chunks(
    monkeypatch: pytest.MonkeyPatch, run: RunFolder, benchmark_folder: Path, tmp_path: Path, batches: int
) -> None:
    file, out = benchmark_folder / "test_private.npz", tmp_path / "pred.csv"
    monkeypatch.setattr(batch_sizes, "_PIXELS_A_BATCH", 7 * 28 * 28)
    monkeypatch.setattr(batch_sizes, "_BATCHES_A_CHUNK", batches)
    evaluated, network = predictions_of(run, load_pairs(file)), Network(run)
    with stream_pairs(file) as stream:
        logits = [network.logits(chunk) for chunk in stream.chunks]
    assert len(logits) == -(-60 // (7 * batches))
    np.testing.assert_array_equal(np.concatenate(logits), evaluated.logit)
    shown = []
    assert write_predictions(network, file, out, progress=lambda done, pairs: shown.append((done, pairs))) == 60
    assert shown == [(min(60, 7 * batches * (chunk + 1)), 60) for chunk in range(len(logits))]
    rows = [f"{row_id},{int(logit > 0)}" for row_id, logit in zip(evaluated.id, evaluated.logit, strict=True)]
    assert out.read_text().splitlines() == ["id,label", *rows]
    assert check_submission(out, file).rows == 60


def test_images_of_other_channels_are_refused(run: RunFolder, tmp_path: Path) -> None:
    colour = np.zeros((2, 3, 28, 28), np.uint8)
    np.savez(tmp_path / "rgb.npz", xa=colour, xb=colour)
    with pytest.raises(InputError, match=r"rgb\.npz: images of 3 channels; .* was trained on 1"):
        write_predictions(Network(run), tmp_path / "rgb.npz", tmp_path / "pred.csv")
    assert not (tmp_path / "pred.csv").exists()


def test_a_file_without_labels_and_ids_is_labelled_by_row_number(tmp_path: Path) -> None:
    x = np.zeros((3, 8, 16), np.uint8)
    x[[0, 2], :, 8:] = 200
    np.savez(tmp_path / "bare.npz", x=x)
    assert write_predictions(Darker(), tmp_path / "bare.npz", tmp_path / "pred.csv") == 3
    assert (tmp_path / "pred.csv").read_text() == "id,label\n0,1\n1,0\n2,1\n"
    assert check_submission(tmp_path / "pred.csv", tmp_path / "bare.npz").left_higher == 2


@pytest.mark.parametrize("before", [None, "id,label\na,1\n"])
def test_a_late_refusal_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None
) -> None:
    monkeypatch.setattr(batch_sizes, "_PIXELS_A_BATCH", 8 * 8)
    x = np.zeros((50, 8, 16), np.float32)
    x[47] = np.nan
    np.savez(tmp_path / "bad.npz", x=x)
    out = tmp_path / "pred.csv"
    if before:
        out.write_text(before)
    with pytest.raises(InputError, match=r"bad\.npz: key 'x' has NaN or infinity, first in row 47"):
        write_predictions(Darker(), tmp_path / "bad.npz", out)
    assert {path.name for path in tmp_path.iterdir()} == {"bad.npz", *(["pred.csv"] if before else [])}
    assert not before or out.read_text() == before


def test_pairs_are_not_written_over(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    table = tmp_path / "pairs.csv"
    table.write_text("left,right\na.png,a.png\n")
    for file in (tmp_path, table):
        with pytest.raises(InputError, match=r"pairs\.csv: is one of the files that are read, and is kept; choose"):
            write_predictions(Darker(), file, table)
    with pytest.raises(InputError, match=r"a\.png: what is written there ends in \.csv"):
        write_predictions(Darker(), tmp_path, tmp_path / "a.png")
    assert table.read_text() == "left,right\na.png,a.png\n"
    assert write_predictions(Darker(), tmp_path, tmp_path / "pred.csv") == 1


def test_probabilities_of_a_table_come_with_its_names(tmp_path: Path) -> None:
    for name, value in (("a.png", 0), ("b.png", 255)):
        Image.new("L", (8, 8), value).save(tmp_path / name)
    table, out = tmp_path / "pairs.csv", tmp_path / "p.csv"
    table.write_text("one,two\na.png,b.png\nb.png,a.png\n")
    stated = RECORDED["data"]["train"] | {"source": {"columns": {"left": "one", "right": "two"}}}
    predictor = Darker()
    predictor.form = ImageForm.of_run(RECORDED | {"data": {"train": stated}}, "darker", 1, 8)
    write_predictions(predictor, table, out, probabilities=True)
    lines = [line.split(",") for line in out.read_text().splitlines()]
    assert lines[0] == ["id", "label", "probability", "logit", "left", "right"]
    assert [line[:2] + line[-2:] for line in lines[1:]] == [["0", "1", "a.png", "b.png"], ["1", "0", "b.png", "a.png"]]
    np.savez(tmp_path / "pairs.npz", x=np.zeros((3, 8, 16), np.uint8))
    write_predictions(Darker(), tmp_path / "pairs.npz", out, probabilities=True)
    assert out.read_text().splitlines()[0] == "id,label,probability,logit"
    out.write_text("id,label,mine\n")
    with pytest.raises(InputError, match=r"p\.csv: has columns that are not written here, 'mine', and is kept"):
        write_predictions(Darker(), tmp_path / "pairs.npz", out)
