"""Each command in a block of README or docs runs, here or in another test; or it is named with the reason why not.

Here they run in the order of their pages, with small networks and images, in a folder of their own.
"""

import csv
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import chdir
from pathlib import Path

import pytest
from tests.shown import PAGES, ROOT, SHELLS, blocks, lines

from twinrank.cli.main import main
from twinrank.labelling.storage import LabelStore
from twinrank.workflows import fit_plan

SET = ROOT / "tests" / "typefaces"
NETWORK = "--epochs 1 --width 2 --views 1"
TABLE = f"{NETWORK} --size 16"

BENCHMARK = {
    "twinrank train order_net --train data/train.npz --val data/val.npz --out runs/first": NETWORK,
    "twinrank resume runs/first": "",
    "twinrank evaluate runs/first data/val.npz data/test_public.npz data/test_private.npz": "",
    "twinrank leaderboard runs/*/": "",
}
PHOTOS = {
    "cp -r tests/typefaces/images photos": "",
    "cp tests/typefaces/votes.csv .": "",
    "twinrank fit votes.csv --images photos": "--size 32 --minutes 0",
    "twinrank next runs/fit photos --judgements votes.csv --count 100": "",
    "twinrank predict --run runs/fit --data votes.csv --images photos --probabilities --out p.csv": "",
    "twinrank data split votes.csv --images photos --out parts": "",
    "twinrank data split votes.csv --images photos --out mine": "",
    "twinrank train order_net --train mine/train.csv --val mine/val.csv --images photos --out runs/mine": TABLE,
    "twinrank train order_net --train mine/train.csv --val mine/val.csv --images photos --size 64 --out runs/mine": (
        f"{TABLE} --out runs/larger"
    ),
    "twinrank evaluate runs/mine mine/test.csv --images photos": "",
    "twinrank rank runs/mine photos --judgements votes.csv --out ranking.csv": "",
    "twinrank plot ranking ranking.csv photos --out ranking.png": "",
    "twinrank predict --run runs/mine --data mine/test.csv --images photos --probabilities --out p.csv": "",
    "twinrank next runs/mine photos --judgements votes.csv --count 100 --out next.csv": "",
}
"""README and docs/own-images.md."""
JUDGED = {
    "twinrank rank runs/fit photos --judgements judgements.db": "",
    "twinrank label export judgements.db --out votes.csv": "--out exported.csv",
    "twinrank plot ranking runs/fit/ranking.csv photos --out ends.png": "",
    "twinrank rank runs/fit new --out new.csv": "",
    "twinrank next runs/fit photos --judgements judgements.db --count 40 --out next.csv": "",
}
"""docs/label.md and docs/ten-minutes.md."""
BACKBONES = {
    "twinrank train efficientnet_lite0 --train votes.csv --images photos": "--epochs 1 --size 32",
    "twinrank train run:runs/first --train votes.csv --val more_votes.csv --images photos": (
        "--epochs 1 --size 28 --channels 1 --out runs/after"
    ),
}
EXPORTED = {
    "twinrank export runs/fit --check mine/test.csv --images photos": "",
    "twinrank predict --run model.onnx --data votes.csv --images photos --probabilities": "",
    "twinrank evaluate model.onnx mine/test.csv --images photos": "",
    "twinrank rank model.onnx photos": "",
}
PUBLISHED = {
    "twinrank record runs/record/*_seed*/ runs/open/*_seed*/ --out DIR": "",
    "twinrank ablation runs/distillation/alone_seed[12] runs/parts/*_seed? --base alone": "",
    "twinrank ablation runs/distillation/{alone,answers,levels}_seed? --base alone": "",
    "python benchmarks/ceiling.py passes results/ceiling/{3,7,14}passes results/record_before/open-*": "",
}
"""docs/results.md."""

TRAINED = "--train data/train.npz --val data/val.npz"
ELSEWHERE = {
    "cli/test_main.py::test_a_recipe_leaves_everything": ["make demo"],
    "cli/test_main.py::test_models_are_listed": ["twinrank models"],
    "cli/test_main.py::test_data_can_be_made_checked_and_shown": ["twinrank data make --out data"],
    "data/test_data_page.py::test_its_examples_run": [
        "twinrank data check train.npz val.npz",
        "twinrank data show train.npz --out sheet.png",
        "twinrank submit check submission.csv --test test.npz",
    ],
    "exporting/test_export.py::test_the_command_exports_a_mean_and_a_stack": [
        "twinrank export runs/first",
        "twinrank export runs/first --out digits.onnx --check data/test_public.npz",
        "twinrank export runs/first,runs/second --out mean",
        "twinrank export runs/holdout --out stack",
    ],
    "exporting/test_export.py::test_safetensors_are_a_folder_that_is_read_like_the_run": [
        "twinrank export runs/first --format safetensors --out shared"
    ],
    "exporting/test_export.py::test_a_page_predicts_as_the_run_does": [
        "twinrank export runs/first --format web --out page"
    ],
    "labelling/test_label.py::test_a_rater_judges_on_the_page": [
        'twinrank label photos --question "Which one is sharper?"',
        'twinrank label photos --question "Which one has more grain?"',
        "twinrank fit judgements.db --images photos",
    ],
    "serving/test_server.py::test_people_play_on_the_page": [
        "twinrank serve",
        "twinrank serve runs/fit runs/first model.onnx",
        "twinrank serve runs/a,runs/b --port 9000 --threads 2",
        "twinrank serve model.onnx",
    ],
    "serving/test_server.py::test_the_page_shows_a_request": [
        """echo "{\\"left\\": \\"$(base64 -w0 a.png)\\", \\"right\\": \\"$(base64 -w0 b.png)\\"}" |"""
        " curl localhost:8000/compare -H 'Content-Type: application/json' -d @-"
    ],
    "training/test_jobs.py::test_seeds_are_summed_up": [f"twinrank seeds order_net {TRAINED} --seeds 1,2,3"],
    "training/test_jobs.py::test_ctrl_c_stops_every_job_and_the_same_command_goes_on": [
        f"twinrank seeds order_net {TRAINED} --workers 2"
    ],
    "training/test_ranks.py::test_two_processes_train_as_one_and_one_goes_on_when_the_other_dies": [
        f"torchrun --nproc-per-node 2 -m twinrank train order_net {TRAINED} --out runs/two",
        "torchrun --nproc-per-node 3 -m twinrank resume runs/two",
    ],
    "training/test_ray.py::test_a_node_that_dies_costs_its_running_cells_alone": [
        f"twinrank seeds order_net {TRAINED} --executor ray",
        f"twinrank seeds order_net {TRAINED} --executor ray --ray-address 10.0.0.5:6379",
    ],
    "workflows/test_distill.py::test_the_command_trains_a_student_of_a_network": [
        f"twinrank distill --teacher runs/holdout --student order_net {TRAINED}",
        "twinrank report runs/first",
    ],
    "workflows/test_grid.py::test_a_killed_grid_ends_with_the_same_bytes": [
        "twinrank grid --mode holdout --models order_net,resnet_optimized,resnet_fusion --workers 2",
    ],
    "workflows/test_own_stack.py::test_a_recipe_runs_on_own_files": ["twinrank run mine.yaml"],
    "workflows/test_stack.py::test_the_leaderboard_has_what_is_promised": ["twinrank stack"],
    "workflows/test_stack.py::test_an_honest_stack_is_green": ["twinrank audit runs/holdout"],
    "workflows/test_stack.py::test_every_figure_is_verified": ["twinrank verify runs/holdout"],
    "workflows/test_tune.py::test_a_search_ends_with_the_winner_and_the_defaults_on_fresh_seeds": [
        f"twinrank tune order_net {TRAINED} --trials 100",
        f"twinrank tune order_net {TRAINED} --space order_net --workers 2",
        f"twinrank tune resnet_optimized {TRAINED} --trials 50 --set train.epochs=6 --set options.width_mult=0.25",
    ],
}
"""Tests that run commands in a shorter form: with small networks, few images, other names, or another executor."""

NOT_RUN = {
    "installs packages, from a registry; every run of CI begins so": [
        "python3 -m venv .venv",
        "source .venv/bin/activate",
        "python3 -m venv .venv && source .venv/bin/activate",
        "pip install -c constraints/cpu.txt -e '.[fast]'",
        "pip install -c constraints/cpu.txt -e '.[backbones,serve]'",
        "pip install -e '.[backbones]'",
        "pip install -e .",
        "pip install torch",
        "pip install -e '.[serve]'",
        "pip install 'twinrank[onnx]'",
        "pip install 'twinrank[ray]'",
    ],
    "downloads a model; a tiny one of its kind is built in models/test_pretrained.py": [
        "twinrank train hf:facebook/dinov2-small --train votes.csv --val more_votes.csv --images photos"
    ],
    "trains for an hour or more; workflows/test_recipe.py reads these recipes, and a small one runs": [
        "twinrank run record",
        "twinrank run stack_gpu --workers 2",
        "twinrank run open",
        "twinrank run open --set options.width=64 --out runs/open64",
        "twinrank run ceiling --workers 2",
        "twinrank run distillation --workers 2",
        "twinrank run parts --workers 2",
        "twinrank run cpu --workers 2",
        "twinrank run cpu --out runs/short --set train.epochs=4",
    ],
    "makes the graph of a large network, which takes a quarter of a minute; 'make docs' does it": [
        "twinrank export src/twinrank/pretrained --check data/val.npz"
    ],
    "needs a cluster with Slurm; training/test_jobs.py gives the script the numbers of its tasks": [
        "mkdir -p logs",
        "sbatch examples/slurm_array.sh --set train.epochs=20",
        "sbatch --array=0-7 --cpus-per-task=1 --wrap 'twinrank grid --mode oof --out runs/oof --threads 1'",
    ],
}

SNIPPETS = {
    ("README.md", "python"): "api/test_examples.py::test_readme_runs",
    ("benchmark.md", "python"): "api/test_examples.py::test_the_page_of_the_benchmark_runs",
    ("data.md", "python"): "data/test_data_page.py::test_its_examples_run",
    ("export.md", "python"): "exporting/test_export.py::test_the_check_and_the_card_say_what_was_found",
    ("python.md", "python"): "api/test_examples.py::test_the_page_runs",
    ("recipes.md", "yaml"): "test_recipes_page.py::test_its_examples_are_valid",
    ("serve.md", "json"): "serving/test_server.py::test_the_page_shows_a_request",
    ("ten-minutes.md", "python"): "api/test_examples.py::test_the_page_of_ten_minutes_makes_images",
    ("tuning.md", "yaml"): "tuning/test_space.py::test_the_example_of_the_page_is_valid",
}
"""Tests that run the Python of a page, or read what its files hold."""


def run(line: str, small: str, place: Path) -> None:
    """Run a command in a folder. Words of ``small`` are added; a flag there replaces that of the command."""
    found = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], cwd=place, capture_output=True, check=True)
    program, *words = os.fsdecode(found.stdout).split("\0")[:-1]
    more = shlex.split(small)
    for flag, value in zip(more[::2], more[1::2], strict=True):
        at = words.index(flag) if flag in words else len(words)
        words[at : at + 2] = flag, value
    with chdir(place):
        if program == "twinrank":
            main(words)
        elif program == "python":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", words)
                runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        else:
            subprocess.run([program, *words], check=True)


def run_all(commands: dict[str, str], place: Path) -> None:
    for line, small in commands.items():
        try:
            run(line, small, place)
        except SystemExit as stopped:
            pytest.fail(f"{line}: exit code {stopped.code}")


@pytest.fixture(scope="module")
def place(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages take as given: a benchmark, published results, and the small set of the clone."""
    folder = tmp_path_factory.mktemp("shown")
    for name, target in {"data": benchmark_folder, "results": ROOT / "results", "tests": ROOT / "tests"}.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    run_all(BENCHMARK, place)
    return place


@pytest.fixture(scope="module")
def photos(place: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        # There is time enough, and fewer images tell how long they take.
        patch.setattr(fit_plan, "_MOST_TIMED", 2)
        run_all(PHOTOS, place)
    return place


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_networks_of_the_benchmark(trained: Path) -> None:
    assert {path.stem for path in (trained / "runs" / "first" / "metrics").iterdir()} == {
        "val",
        "test_public",
        "test_private",
        "tests",
    }


def test_own_images(photos: Path) -> None:
    ranking = rows(photos / "ranking.csv")
    assert [*ranking[0]][:5] == ["image", "score", "low", "high", "rank"]
    assert {row["image"] for row in ranking} == {row["image"] for row in rows(SET / "truth.csv")}
    assert [*rows(photos / "p.csv")[0]] == ["id", "label", "probability", "tie", "logit", "left", "right"]
    assert len(rows(photos / "next.csv")) == 100


def test_the_page_of_own_images_shows_the_table_that_comes_along() -> None:
    head = "".join((SET / "votes.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:4])
    assert head in PAGES["own-images.md"].read_text(encoding="utf-8")


def test_judgements_of_a_page(photos: Path) -> None:
    store = LabelStore(photos / "judgements.db", "Which one is bolder?")
    for row in rows(SET / "votes.csv")[:60]:
        left, right, winner, rater = row.values()
        shown = store.show(left, right, "at random", rater)
        store.answer(shown.id, rater, "left" if winner == left else "right" if winner == right else "tie")
    store.close()
    (photos / "new").mkdir()
    for name in ("word_0001.png", "word_0055.png", "word_0056.png"):
        shutil.copy(photos / "photos" / name, photos / "new")
    run_all(JUDGED, photos)
    assert len(rows(photos / "exported.csv")) == 60
    assert len(rows(photos / "new.csv")) == 3
    assert len(rows(photos / "next.csv")) == 40


def test_networks_of_others(trained: Path, photos: Path) -> None:
    header, *votes = (photos / "votes.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (photos / "more_votes.csv").write_text("".join([header, *votes[:60]]), encoding="utf-8")
    run_all(BACKBONES, photos)


def test_exported_networks_of_own_images(photos: Path, tmp_path: Path) -> None:
    """In place of a network of ``twinrank fit``, whose graph takes long to make."""
    (tmp_path / "runs").mkdir()
    for name, target in {"photos": "photos", "votes.csv": "votes.csv", "mine": "mine", "runs/fit": "runs/mine"}.items():
        (tmp_path / name).symlink_to(photos / target)
    run_all(EXPORTED, tmp_path)
    assert len(rows(tmp_path / "ranking.csv")) == 60


def test_published_results(tmp_path: Path) -> None:
    results = ROOT / "results"
    paired, opened = results / "record" / "pairs-42epochs_seed1", results / "record_before" / "open-30min_seed1"
    runs = {f"distillation/{name}": paired for name in ("alone", "answers")}
    for name, run in (runs | {"distillation/levels": opened, "parts/one": opened}).items():
        folder = tmp_path / "runs" / f"{name}_seed1"
        folder.mkdir(parents=True)
        for part in run.iterdir():
            (folder / part.name).symlink_to(part)
    for recipe, target in (("record", "pairs"), ("open", "open")):
        (tmp_path / "runs" / recipe).mkdir()
        for run in (results / "record").glob(f"{target}-*"):
            (tmp_path / "runs" / recipe / run.name).symlink_to(run)
    (tmp_path / "results").symlink_to(results)
    run_all(PUBLISHED, tmp_path)
    assert (tmp_path / "DIR" / "record.png").is_file()


def test_each_command_is_run_or_has_a_reason() -> None:
    here = [*BENCHMARK, *PHOTOS, *JUDGED, *BACKBONES, *EXPORTED, *PUBLISHED]
    others = [line for found in (ELSEWHERE, NOT_RUN) for each in found.values() for line in each]
    known, shown = Counter(here + others), {line for page in PAGES.values() for line in lines(page)}
    assert not [line for line in shown if line not in known], "run it in a test, or say here why none does"
    assert not [line for line in known if line not in shown], "no page shows it"
    assert set(known.values()) == {1}


def test_each_snippet_has_a_test() -> None:
    """What programs print (``text``) changes with their data."""
    shown = {(name, language) for name, page in PAGES.items() for language, _ in blocks(page)}
    assert {each for each in shown if each[1] not in SHELLS | {"text"}} == SNIPPETS.keys()


def test_tests_elsewhere_exist() -> None:
    for test in {*ELSEWHERE, *SNIPPETS.values()}:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE), test
