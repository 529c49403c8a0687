import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from tests.conftest import RECORDED

from twinrank.cli.main import main
from twinrank.config import TrainConfig
from twinrank.core.files import sha256
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.order import order_report
from twinrank.inference.network import Network
from twinrank.inference.order import order
from twinrank.models.registry import create_model
from twinrank.models.weights import save_weights
from twinrank.reporting import pictures
from twinrank.reporting.order import order_text, write_order
from twinrank.reporting.sheets import cycle_sheet
from twinrank.runs import RunFolder


@pytest.fixture(scope="module")
def run(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose network has not learned anything."""
    made = RunFolder(tmp_path_factory.mktemp("runs") / "untrained")
    model = {"name": "order_net", "options": {"width": 4, "levels": 4}}
    files = {part: benchmark_folder / f"{part}.npz" for part in ("train", "val")}
    data = {part: {"path": str(file), "sha256": sha256(file)} for part, file in files.items()}
    made.create(RECORDED | {"model": model, "train": asdict(TrainConfig()), "data": data})
    torch.manual_seed(0)
    save_weights(made.weights, create_model(**model), {**model, "channels": 1, "image_size": 28})
    return made


def some(images: int) -> tuple[Pool, np.ndarray]:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, 3, 8, 16), np.uint8)
    logit = generator.normal(0, 2, (images, images))
    return Pool(pixels, tuple(f"{row} left" for row in range(images)), Path("p.npz"), "ab"), logit - logit.T


def test_a_run_orders_images_of_a_file(run: RunFolder, benchmark_folder: Path) -> None:
    found = order(Network(run), benchmark_folder / "val.npz", 20, seed=3)
    pool, report, meta = found
    assert (len(pool), report.images, report.pairs, report.swap_violations) == (20, 20, 190, 0)
    assert found.rows == "20 images of val.npz, which chose the epoch, so it reads slightly too well"
    assert meta["data"] == {"path": str(benchmark_folder / "val.npz"), "sha256": sha256(benchmark_folder / "val.npz")}
    assert (meta["model"], meta["track"], meta["weights_sha256"]) == ("order_net", "pairs-only", sha256(run.weights))
    logit, levels = Network(run).pairwise(pool)
    assert order_report(logit, seed=3).record(pool.names) == report.record(pool.names)
    assert levels is not None
    assert levels.shape == (20, 4)
    assert order(Network(run), benchmark_folder / "test_private.npz", 5).rows == "5 images of test_private.npz"
    colour = Pool(np.repeat(pool.images, 3, 1), pool.names, pool.path, pool.sha256)
    with pytest.raises(InputError, match=r"val.npz: images of 3 channels; .* was trained on 1"):
        Network(run).tournament(colour)


def test_the_command_prints_it_and_writes_it(
    run: RunFolder, benchmark_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = benchmark_folder / "test_private.npz"
    main(["order", str(run.path), str(file), "--images", "30", "--seed", "1", "--out", str(tmp_path / "new" / "order")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "30 images of test_private.npz"
    assert lines[1].split() == ["swap", "violations", "0", "of", "435", "pairs"]
    assert "random decisions have 25%" in lines[3]
    assert lines[5:] == [str(tmp_path / "new" / "order" / name) for name in ("order.json", "cycles.png")]
    record = json.loads(Path(lines[5]).read_text())
    assert (record["images"], record["seed"], record["used"]) == (30, 1, [])
    assert f"{100 * record['explained']['value']:.2f}%" in lines[4]
    assert {path.name for path in (tmp_path / "new" / "order").iterdir()} == {"order.json", "cycles.png"}
    for images, problem in (("2", "--number is 2; use 3 to 500"), ("200", "120 different images, but --number is 200")):
        with pytest.raises(SystemExit) as stopped:
            main(["order", str(run.path), str(file), "--images", images])
        error = capsys.readouterr().err
        assert stopped.value.code == 2
        assert (error.count("\n"), problem in error) == (1, True)


def test_a_matrix_of_logits_is_enough(tmp_path: Path) -> None:
    """A stack, say, has no run folder."""
    pool, logit = some(40)
    report = order_report(logit)
    assert order_text(report, "40 images").splitlines()[0] == "40 images"
    written = write_order(pool, report, {"model": "a stack"}, tmp_path)
    assert list(json.loads(written[0].read_text()))[:2] == ["model", "images"]
    with Image.open(written[1]) as picture:
        assert picture.width > 1000
    figure = cycle_sheet(pool.images, report.cycles, pool.names)
    first = report.cycles[0].images
    shown = [each.images[0].get_array() for each in figure.axes[:7:2]]
    for image, place in zip(shown, (*first, first[0]), strict=True):
        np.testing.assert_array_equal(np.squeeze(np.asarray(image)), np.squeeze(pool.images[place].transpose(1, 2, 0)))
    texts = [each.texts[1].get_text().split("\n")[0] for each in figure.axes[1:7:2]]
    assert texts == [f"{logit:+.2f}" for logit in report.cycles[0].logits]


def test_without_cycles_the_picture_names_it(tmp_path: Path) -> None:
    pool, _ = some(5)
    strengths = np.arange(5.0)
    report = order_report(strengths[:, None] - strengths)
    assert write_order(pool, report, {}, tmp_path)[1].is_file()
    heading = cycle_sheet(pool.images, report.cycles, [""] * 5).get_suptitle()
    assert heading == "There is no cycle of three images"


def test_names_of_any_kind_are_drawn_as_they_are_and_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = some(3)
    names = "$x_{1}$ left", "a very long name of the photograph of a cat.png left", "$\\frac{ right"
    report = order_report(np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]))
    drawn: list[Figure] = []
    monkeypatch.setattr(pictures, "save_picture", lambda figure, out: drawn.append(figure))
    pictures.draw_cycles(Pool(pool.images, names, pool.path, pool.sha256), report, tmp_path / "cycles.png")
    drawn[0].draw_without_rendering()
    captions = [each.get_title().split("\n") for each in drawn[0].axes[::2]]
    assert {name for name, _ in captions} == {names[0], "a very long…cat.png left", names[2]}
    assert {place for _, place in captions} == {"place 1 of 3", "place 2 of 3", "place 3 of 3"}
