from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.file_keys import file_keys
from twinrank.runs import RunFolder


def pairs(path: Path, digest: str) -> Judgements:
    image = np.zeros((1, 1, 8, 8), np.uint8)
    return Judgements.of_pairs(PairArrays(image, image, None, None), path, digest)


def evaluated(run: RunFolder, *files: Judgements) -> list[str]:
    keys = file_keys(run, files)
    for key, data in zip(keys, files, strict=True):
        source = {} if data.source is None else {"source": data.source.to_json()}
        meta = {"data": {"path": str(data.path), "sha256": data.sha256, "n": 1, **source}, "used": []}
        Predictions(np.array(["0"]), np.zeros(1, np.float32), meta=meta).save(run.predictions(key))
    return keys


def test_files_of_one_name_do_not_replace_one_another(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    first, second, third = (pairs(tmp_path / folder / "pairs.npz", folder) for folder in ("a", "b", "c/b"))
    assert file_keys(run, [first, second]) == ["a_pairs", "b_pairs"]
    assert evaluated(run, first) == ["pairs"]
    assert evaluated(run, second) == ["b_pairs"]
    assert evaluated(run, third) == ["b_pairs_2"]
    assert evaluated(run, third, first, second) == ["b_pairs_2", "pairs", "b_pairs"], "each keeps its own"


def test_a_file_is_known_by_its_digest_or_by_its_path(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert evaluated(run, pairs(tmp_path / "a" / "val.npz", "1")) == ["val"]
    assert evaluated(run, pairs(tmp_path / "moved.npz", "1")) == ["val"]
    assert evaluated(run, pairs(tmp_path / "moved.npz", "changed")) == ["val"]
    assert evaluated(run, pairs(tmp_path / "a" / "val.npz", "other")) == ["a_val"]


def test_a_table_that_was_read_with_other_columns_has_a_key_of_its_own(tmp_path: Path) -> None:
    run, table = RunFolder(tmp_path / "run"), tmp_path / "city" / "votes.csv"
    safe, lively = (Source(columns={"only": f"question={question}"}) for question in ("safe", "lively"))
    assert evaluated(run, replace(pairs(table, "1"), source=safe)) == ["votes"]
    assert evaluated(run, replace(pairs(table, "2"), source=lively)) == ["city_votes"]
    assert evaluated(run, replace(pairs(table, "new votes"), source=safe)) == ["votes"]


def test_folders_keep_their_names_and_the_pooled_record_its_own(tmp_path: Path) -> None:
    run, folder = RunFolder(tmp_path / "run"), tmp_path / "exam_v1.0"
    folder.mkdir()
    assert evaluated(run, pairs(folder, "1")) == ["exam_v1.0"]
    assert evaluated(run, pairs(tmp_path / "mine" / "tests", "2")) == ["mine_tests"]
    assert evaluated(run, pairs(Path("table.CSV"), "3"), pairs(Path("arrays"), "4")) == ["table", "arrays"]
    with pytest.raises(InputError, match=r"copy.npz: the same pairs are given twice"):
        file_keys(run, [pairs(tmp_path / "a.npz", "5"), pairs(tmp_path / "copy.npz", "5")])
