"""Anyone's files in the place of the benchmark's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinrank.core.context import Context
from twinrank.data.source import REFERENCE, Source, write_reference
from twinrank.ensembling.ledger_rows import key_of, test_keys
from twinrank.errors import InputError
from twinrank.training.checks import require_labelled
from twinrank.workflows.grid_files import (
    assigned,
    load_table_or_pairs,
    refuse_shared_pairs,
    refuse_unfit,
    require_val,
)
from twinrank.workflows.recipe import Recipe


def require_val_for(recipe: Recipe, val: Path | None) -> None:
    """Refuse a recipe without the pairs that choose its epochs, or that it stacks.

    Raises:
        InputError: ``val`` is None, and the recipe needs it.
    """
    if val is None and recipe.runs:
        raise InputError("`val` is missing: the recipe needs it to choose epochs; give it")
    require_val(recipe.grids.values(), val)


@dataclass(frozen=True)
class OwnFiles:
    """Pair files, or references to tables.

    Attributes:
        train: Labelled pairs that are fitted.
        val: Labelled pairs that choose epochs, or are stacked; None where nothing needs them.
        tests: Labelled pairs of the tests.
    """

    train: Path
    val: Path | None = None
    tests: tuple[Path, ...] = ()


def own_files(
    train: Path,
    val: Path | None,
    tests: Sequence[Path],
    folder: Path,
    source: Source,
    recipe: Recipe,
    context: Context = Context(),
) -> OwnFiles:
    """Check files for a recipe, and write a reference for each table, from which processes of their own read it alike.

    Args:
        train: Labelled pairs that are fitted.
        val: Labelled pairs that choose epochs, or are stacked.
        tests: Labelled pairs of the tests.
        folder: Folder for the references; it comes to be with the first.
        source: How tables are read, and where their images are.
        recipe: Trainings or grids that the files are for.
        context: Listeners.

    Raises:
        InputError: A file is refused, has no labels or images of another size, or has pairs of another one; or the
            recipe needs ``val``, or more rows. Nothing is written then.
    """
    require_val_for(recipe, val)
    first = load_table_or_pairs(train, source, context)
    source = first.source or source
    paths = {"train": train, **({} if val is None else {"val": val})}
    paths |= dict(zip(test_keys(tests, train if val is None else val), tests, strict=True))
    files = {
        part: first if part == "train" else load_table_or_pairs(path, source, context) for part, path in paths.items()
    }
    refuse_unfit(files)
    refuse_shared_pairs([*files.values()])
    for part in ("train", "val") if recipe.runs else ():
        require_labelled(files[part], part)
    for grid in recipe.grids.values():
        assigned(grid, first, first if grid.mode == "oof" else files["val"])
    known: dict[str, Path] = {}
    for part, data in files.items():
        known[part] = Path(paths[part])
        if data.source is not None and not data.path.name.endswith(REFERENCE):
            name = key_of(data.path) if part in ("train", "val") else part
            known[part] = folder / f"{name}{REFERENCE}"
            write_reference(known[part], data.path, data.source)
    return OwnFiles(known.pop("train"), known.pop("val", None), tuple(known.values()))
