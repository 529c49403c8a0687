import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.data.augmentation.examples import augmented_examples
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.errors import InputError
from twinrank.inference.evaluate import evaluate
from twinrank.inference.saliency import explain, occlusion_saliency
from twinrank.models.registry import create_model
from twinrank.reporting.leaderboard import leaderboard_text, leaderboard_values, read_field, write_leaderboard
from twinrank.reporting.pictures import draw_augmentations, draw_curves, draw_saliency
from twinrank.reporting.plots import compared_curves
from twinrank.reporting.ranking_ends import draw_ranking, read_ranking
from twinrank.reporting.sheets import saliency_sheet
from twinrank.runs import RunFolder
from twinrank.training.train import train


@pytest.fixture(scope="module")
def runs(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trained runs, the first of them evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    for seed in (1, 2):
        config = TrainConfig(epochs=2, batch_size=64, seed=seed, contrastive_weight=float(seed == 2))
        spec = RunSpec("order_net", config, {"width": 4})
        train(spec, *files, folder / f"seed_{seed}", context=Context(threads=1))
    tests = [benchmark_folder / f"test_{name}.npz" for name in ("public", "private")]
    evaluate(RunFolder(folder / "seed_1"), [files[1], *tests])
    return [folder / "seed_1", folder / "seed_2"]


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def test_curves_are_drawn_of_one_run_of_many_and_of_seeds_as_a_band(runs: list[Path], tmp_path: Path) -> None:
    for name, chosen, band in (("one", runs[:1], False), ("many", runs, False), ("seeds", runs, True)):
        assert opened(draw_curves(chosen, tmp_path / f"{name}.png", band)).width > 1000
    histories = {run.name: RunFolder(run).read_history() for run in runs}
    (axes,) = compared_curves(histories, band=True).axes
    mean = axes.lines[0].get_ydata()
    values = [[epoch["val"]["accuracy"] for epoch in history] for history in histories.values()]
    np.testing.assert_allclose(np.asarray(mean), np.mean(values, 0))


def test_curves_of_many_runs_are_named_beside_the_axes(runs: list[Path]) -> None:
    history = RunFolder(runs[0]).read_history()
    for count, outside in ((4, False), (24, True)):
        figure = compared_curves({f"run {number}": history for number in range(count)})
        figure.draw_without_rendering()
        (axes,) = figure.axes
        drawn = axes.get_legend()
        assert drawn is not None
        within = drawn.get_window_extent()
        assert (within.x0 >= axes.bbox.x1) == outside
        assert figure.bbox.x1 >= within.x1
        assert within.y0 >= 0
        looks = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines]
        assert len(set(looks)) == count


def test_a_run_given_twice_is_not_drawn(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the same run as .*seed_1; name each run once"):
        draw_curves([*runs, runs[1] / ".." / runs[0].name], tmp_path / "curves.png")


def test_pictures_end_in_what_they_are(runs: list[Path], tmp_path: Path) -> None:
    assert draw_curves(runs, tmp_path / "curves.svg").read_text().startswith("<?xml")
    assert draw_curves(runs, tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match=r"curves.jpg: what is written there ends in .png, .svg, .pdf"):
        draw_curves(runs, tmp_path / "curves.jpg")
    with pytest.raises(
        InputError, match=r"the path of what is written is empty; choose a name that ends in .png, .svg, .pdf"
    ):
        draw_curves(runs, Path())
    with pytest.raises(InputError, match="not a run folder"):
        draw_curves([tmp_path], tmp_path / "curves.png")


def test_a_leaderboard_has_each_run_with_intervals(runs: list[Path], tmp_path: Path) -> None:
    field = read_field(runs[:1])
    board = field.rank()
    (row,) = board.rows
    assert set(row.metrics) == {"val", "test_public", "test_private", "tests"}
    assert row.entrant.milliseconds is not None
    text = leaderboard_text(board, field)
    assert "| seed_1 | model |" in text
    assert "which chose epochs" in text
    assert "the guide" not in text, "published results are of the benchmark proper alone"
    assert "the guide" in leaderboard_text(board, replace(field, benchmark=True))
    written = write_leaderboard(board, field, tmp_path)
    assert [path.name for path in written] == [f"leaderboard.{ending}" for ending in ("md", "csv", "json", "png")]
    assert json.loads((tmp_path / "leaderboard.json").read_text()) == leaderboard_values(board)
    assert len((tmp_path / "leaderboard.csv").read_text().splitlines()) == 2
    with pytest.raises(
        InputError, match=r"seed_2: has not been evaluated on .*val\.npz; run 'twinrank evaluate .*seed_2 .*val"
    ):
        read_field(runs)
    again = runs[1] / ".." / runs[0].name
    with pytest.raises(InputError, match=r"the same run as .*seed_1; name each run once"):
        read_field([*runs, again])


def test_runs_of_one_name_are_shown_with_their_folders(runs: list[Path], tmp_path: Path) -> None:
    folders = [tmp_path / place / "seed_1" for place in ("a", "b", "b/deeper/b", "c")]
    for folder in folders:
        shutil.copytree(runs[0], folder)
    names = [each.name for each in read_field(folders).entrants]
    assert names == ["a/seed_1", f"{tmp_path.name}/b/seed_1", "deeper/b/seed_1", "c/seed_1"]


def test_a_covered_spot_counts_by_what_it_changes() -> None:
    """A network that looks at one spot of the left image alone."""
    model = create_model("order_net", options={"width": 4, "levels": 2, "mask": False}).eval()

    class Spot(torch.nn.Module):
        antisymmetric = False

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left[:, 0]

    model.embed_batch = lambda images, detached=False: Side(images)  # pyright: ignore[reportAttributeAccessIssue]
    model.comparator = Spot()
    images = np.full((2, 1, 28, 28), 255, np.uint8)
    data = Judgements.of_pairs(PairArrays(images, images.copy(), None, None), Path("pairs.npz"), "")
    found = occlusion_saliency(model, data)
    np.testing.assert_allclose(found.logit, 1)
    assert found.left[0, 10, 10] > 0.2
    assert found.left[0, 20:, 20:].max() == 0
    assert np.abs(found.right).max() == 0


class Side:
    """The brightness of the spot around (10, 10)."""

    def __init__(self, images: torch.Tensor) -> None:
        self.features = images[:, 0, 9:12, 9:12].float().mean((1, 2))[:, None] / 255


def test_saliency_is_drawn(runs: list[Path], benchmark_folder: Path, tmp_path: Path) -> None:
    data, saliency = explain(RunFolder(runs[0]), benchmark_folder / "val.npz", pairs=3)
    assert saliency.left.shape == (3, 28, 28)
    assert opened(draw_saliency(data, saliency, tmp_path / "saliency.png")).width > 1000
    with pytest.raises(InputError, match="`pairs`: 0 is not possible"):
        explain(RunFolder(runs[0]), benchmark_folder / "val.npz", pairs=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_saliency_is_drawn_over_the_images_in_their_colours(channels: int) -> None:
    images = np.arange(2 * channels * 64, dtype=np.uint8).reshape(2, channels, 8, 8)
    heat = np.ones((2, 8, 8), np.float32)
    figure = saliency_sheet(images, images, np.ones(2), heat, heat, ["first", "second"])
    drawn = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.squeeze(np.asarray(drawn)), np.squeeze(images[0].transpose(1, 2, 0)))


def test_augmentations_are_drawn(benchmark_folder: Path, tmp_path: Path) -> None:
    assert opened(
        draw_augmentations(augmented_examples(load_pairs(benchmark_folder / "val.npz")), tmp_path / "augmentations.png")
    )


@pytest.mark.parametrize(
    "arguments",
    [("curves", "RUN", "--band"), ("saliency", "RUN", "VAL", "--pairs", "2"), ("augmentations", "VAL")],
    ids=lambda arguments: arguments[0],
)
def test_pictures_from_the_command_line(
    called: Any, runs: list[Path], benchmark_folder: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    names = {"RUN": str(runs[0]), "VAL": str(benchmark_folder / "val.npz")}
    result = called("plot", *(names.get(each, each) for each in arguments), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert opened(tmp_path / result.stdout.strip())


HEADER = "image,score,low,high,rank,rank_low,rank_high,comparisons,mine"


@pytest.fixture
def ranked(tmp_path: Path) -> Path:
    """A folder of 20 images, the taller the higher they rank, and ``ranking.csv`` beside it, the lowest first."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    lines = [HEADER]
    for rank in range(20, 0, -1):
        Image.new("RGB", (100, 100 - 4 * rank), (5 * rank, 0, 200)).save(tmp_path / "photos" / "a" / f"{rank}.png")
        score = 5.25 - rank / 2
        lines.append(f"a/{rank}.png,{score},{score - 1},{score + 1},{rank},1,20,3,x")
    (tmp_path / "ranking.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_ends_of_a_ranking_are_drawn_with_their_aspect(called: Any, ranked: Path) -> None:
    result = called("plot", "ranking", "ranking.csv", "photos", "--count", "3", cwd=ranked)
    assert (result.stdout.strip(), result.returncode) == ("ranking.png", 0), result.stderr
    picture = np.asarray(opened(ranked / "ranking.png").convert("RGB")).astype(int)
    assert (ranked / "ranking.png").stat().st_size < 300_000
    blue = (picture[..., 2] > 150) & (picture[..., 1] < 20)
    sizes = []
    for half in np.split(blue[: len(blue) // 2 * 2], 2):
        columns = [
            part for part in np.split(half, np.flatnonzero(np.diff(half.any(0).astype(int))) + 1, 1) if part.any()
        ]
        sizes.append([(part.any(1).sum(), part.any(0).sum()) for part in columns])
    assert sizes == [[(round(1.28 * (100 - 4 * rank)), 128) for rank in row] for row in ((1, 2, 3), (18, 19, 20))]
    table = read_ranking(ranked / "ranking.csv")
    assert (table.names[0], table.score[0], table.rank[-1]) == ("a/1.png", 4.75, 20)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            ("score,low", "mean,least"),
            {},
            "without 2 columns of a ranking: 'score', 'low'; it has 'image', 'mean', 'le",
        ),
        (("4.75,3.75", "high,inf"), {}, r"2 cells are no finite numbers \(line 21: score 'high', line 21: low 'inf'\)"),
        (("a/", "b/"), {}, r"images that are not in .*photos.*: 20 of 20 \('b/1.png', .* and 17 more\)"),
        (("x", "x"), {"count": 0}, "`count` is 0; 1 to 20 are possible"),
        (("x", "x"), {"out": "photos/a/7.png"}, "7.png: is one of the files that are read, and is kept"),
        (("x", "x"), {"out": "ranking.csv"}, "ranking.csv: is one of the files that are read, and is kept"),
    ],
)
def test_what_is_no_ranking_is_not_drawn(
    ranked: Path, change: tuple[str, str], options: dict[str, Any], said: str
) -> None:
    table = ranked / "ranking.csv"
    table.write_text(table.read_text().replace(*change))
    out = ranked / options.pop("out", "ranking.png")
    with pytest.raises(InputError, match=said):
        draw_ranking(table, ranked / "photos", out, **options)
    assert not (ranked / "ranking.png").exists()


def test_one_image_has_no_two_ends(ranked: Path) -> None:
    (ranked / "ranking.csv").write_text(f"{HEADER}\na/1.png,1,0,2,1,1,1,0,x\n")
    with pytest.raises(InputError, match="1 image ranked; two ends need 2 or more"):
        draw_ranking(ranked / "ranking.csv", ranked / "photos", ranked / "ranking.png")
