"""Tables of published experiments: images of scenes under conditions, and votes about several questions."""

from collections.abc import Mapping
from dataclasses import replace

from twinrank.core.messages import first_few, quoted
from twinrank.data.formats.votes.cells import Cells
from twinrank.data.formats.votes.roles import plain
from twinrank.errors import InputError, one_line

_QUESTIONS = ("question", "questionid", "studyquestion", "criterion", "criteria", "aspect")
_WORDED = ("question", "studyquestion")
"""Those that have the question itself, as people read it."""
_PLACE_PULSE = ({"leftid", "rightid", "winner"}, ("category", "study", "studyid"))
"""Columns of Place Pulse, and those that have its question."""


def chosen_rows(cells: Cells, columns: Mapping[str, str]) -> Cells:
    """The rows that count: those about one question, which the cells have then if a column of the table has it.

    Place Pulse has one table, ``left_id,right_id,winner,...,category``, for six questions; ``winner`` is left, right
    or equal. Source: README of Place Pulse 2.0, MIT Media Lab, 2016.

    Args:
        cells: Table.
        columns: What the user states; ``only`` is ``COLUMN=VALUE``, or nothing for all rows.

    Raises:
        InputError: The rows are about several questions, and none is chosen; or ``only`` fits no row.
    """
    if "only" not in columns:
        _refuse_several(cells, columns)
        return _with_question(cells, columns)
    name, _, value = columns["only"].partition("=")
    if not name:
        return _with_question(cells, columns)
    if name not in cells.columns:
        shown = ", ".join(map(quoted, cells.columns))
        raise InputError(f"{cells.path}: `columns` has only={name}={value}, and the columns are {shown}")
    rows = [row for row, cell in enumerate(cells.columns[name]) if cell == value.strip()]
    if not rows:
        found = [*dict.fromkeys(map(quoted, cells.columns[name]))]
        raise InputError(f"{cells.path}: no row has {name} = {value}; there are {first_few(found)}")
    kept = {each: [column[row] for row in rows] for each, column in cells.columns.items()}
    lines = [cells.lines[row] for row in rows]
    chosen = replace(cells, columns=kept, lines=lines, notes=(*cells.notes, f"only {name} = {value}"))
    return _with_question(chosen, columns)


def _with_question(cells: Cells, columns: Mapping[str, str]) -> Cells:
    """Cells with the one question of all rows instead of its column; unchanged where there is no such column."""
    asked = [name for name in cells.columns if plain(name) in _WORDED and name not in columns.values()]
    questions = {one_line(cell) for cell in cells.columns[asked[0]]} if len(asked) == 1 else set[str]()
    if len(questions) != 1 or not (question := questions.pop()):
        return cells
    others = {name: column for name, column in cells.columns.items() if name != asked[0]}
    return replace(cells, columns=others, question=question)


def _refuse_several(cells: Cells, columns: Mapping[str, str]) -> None:
    known = {plain(name): name for name in cells.columns}
    needed, more = _PLACE_PULSE
    names = (*_QUESTIONS, *more) if needed <= known.keys() else _QUESTIONS
    for name in (known[each] for each in names if each in known):
        values = [*dict.fromkeys(cells.columns[name])]
        if len(values) > 1 and name not in {*columns.values(), *cells.roles.values()}:
            shown = first_few([*map(quoted, values)])
            raise InputError(
                f"{cells.path}: the judgements are about {len(values):,} questions, column {quoted(name)}: {shown};"
                f" choose one with `columns`: only={name}={values[0]}, or only= for all"
            )


def scenes(cells: Cells) -> Cells:
    """Names of images that are a scene under a condition, as tables for pwcmp have them: ``SCENE/CONDITION``.

    Such a table has ``observer,scene,condition_1,condition_2,selection`` (1 or 2), or
    ``condition_A,condition_B,is_A_selected``. The scene is the group of its images. Source:
    https://github.com/mantiuk/pwcmp, README.md and examples/ex3_tmo_cmp_data.csv.
    """
    known = {plain(name): name for name in cells.columns}
    pairs = [(f"condition{one}", f"condition{two}") for one, two in (("1", "2"), ("a", "b"))]
    found = [pair for pair in pairs if all(name in known for name in pair)]
    if len(found) != 1 or not {"observer", "scene"} <= known.keys():
        return cells
    where = cells.columns[known["scene"]]
    columns = dict(cells.columns)
    for name in found[0]:
        columns[known[name]] = [
            f"{scene}/{condition}" if scene and condition else ""
            for scene, condition in zip(where, columns[known[name]], strict=True)
        ]
    return replace(cells, columns=columns, roles={"group": known["scene"]}, kind="pwcmp")
