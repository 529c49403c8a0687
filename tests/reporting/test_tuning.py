import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinrank.reporting.tuning import draw_search, importance_bars, parallel_coordinates, search_text

SPACE = {"train.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "options.width": [8, 16]}


def trial(number: int, accuracy: float, state: str = "complete") -> dict[str, Any]:
    values = {"train.lr": 1e-4 * 10 ** (number / 2), "options.width": 8 if number % 2 else 16}
    ended = {"epochs": 3, "seconds": 60.0, "reason": None}
    return {"number": number, "state": state, "accuracy": accuracy, "values": values} | ended


@pytest.fixture
def study() -> dict[str, Any]:
    trials = [trial(0, 0.7), trial(1, 0.8), trial(2, 0.8), trial(3, 0.6, "pruned"), trial(4, 0.1, "failed")]
    difference = {"value": 0.01, "low": 0.002, "high": 0.018, "n": 1000, "interval": "paired bootstrap 95%"}
    accuracy = {"winner": [0.8, 0.82], "default": [0.79, 0.81]}
    return {
        "model": "order_net",
        "space": SPACE,
        "trials": trials,
        "best": {"number": 1, "accuracy": 0.8, "values": trials[1]["values"]},
        "importances": {"train.lr": 0.9, "options.width": 0.1},
        "retrained": {
            "seeds": [1, 2],
            "accuracy": accuracy,
            "difference": difference,
            "by_seed": [0.01, 0.01],
            "better": True,
        },
    }


def test_the_table_begins_with_the_best_and_has_the_result_of_training_again(study: dict[str, Any]) -> None:
    text = search_text(study)
    assert "order_net: 4 trials in 300 s (5 min) of training, 1 of them pruned." in text
    assert text.splitlines()[4] == "| 1 | 80.00% | 0.0003162 | 8 |"
    assert "train.lr 90%, options.width 10%" in text
    assert "| 2 | 82.00% | 81.00% | +1.00 |" in text
    assert "On fresh seeds trial 1 is better than the defaults: +1.00 points on val (+0.20 to +1.80" in text
    study["retrained"]["better"] = False
    assert "trial 1 is NOT shown to be better than the defaults; keep those" in search_text(study)
    assert "fresh" not in search_text(study | {"retrained": None})


def test_pictures_are_drawn_or_named_as_left_out(study: dict[str, Any], tmp_path: Path) -> None:
    written, left_out = draw_search(json.loads(json.dumps(study)), tmp_path)
    assert [path.name for path in written] == ["importances.png", "parallel.png"]
    assert not left_out
    for path in written:
        with Image.open(path) as image:
            assert image.width > 1000
    few = study | {"importances": None, "trials": study["trials"][:1]}
    written, left_out = draw_search(few, tmp_path)
    assert written == []
    assert left_out == [
        "importances.png is left out: it needs 20 completed trials, and two keys or more",
        "parallel.png is left out: it needs two completed trials",
    ]


def test_lines_go_through_values_on_their_scale(study: dict[str, Any]) -> None:
    (axes,) = parallel_coordinates(study["trials"], SPACE).axes
    lines = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    pruned, *complete = lines[:4]
    np.testing.assert_allclose(pruned, [0.75, 0])
    np.testing.assert_allclose(complete[-1], [0.25, 0, 1], err_msg="the best is drawn last")
    assert [name.get_text() for name in axes.get_xticklabels()] == ["train\nlr", "options\nwidth", "accuracy\non val"]
    (axes,) = importance_bars(study["importances"]).axes
    assert [name.get_text() for name in axes.get_yticklabels()] == ["options.width", "train.lr"]
