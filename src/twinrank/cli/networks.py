"""Train a network; each has its own options and training values."""

import ast
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import field, fields, make_dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import tyro

from twinrank.cli.arguments import File, OptionalFile, OptionalFolder, Threads, flag_type, shown_default
from twinrank.cli.images import ImageFlags
from twinrank.cli.output import listening
from twinrank.cli.parsing import given_flags
from twinrank.config import RunSpec, TrainConfig
from twinrank.core.context import Context
from twinrank.models.names import folder_name

if TYPE_CHECKING:
    from twinrank.models.registry import ModelEntry

RUN = ("epochs", "batch_size", "accumulate", "fresh", "seed")
"""Training values that stand beside the files and the folder of the run."""
PURPOSES = {
    "run": "Files, folder, length and seed of the training.",
    "optimiser": "How weights move.",
    "objective": "What is minimised.",
    "augmentation": "How images and pairs are varied.",
    "curriculum": "Which pairs come first.",
    "stopping": "Which epoch is kept, and when training stops early.",
    "arithmetic": "Number formats, compilation and memory.",
}
"""What each group of flags is for."""
VALUES: dict[str, tuple[str, ...]] = {
    "optimiser": (
        "freeze",
        *("optimizer", "lr", "weight_decay", "beta1", "beta2", "schedule", "warmup", "plateau_factor"),
        *("plateau_patience", "clip_norm", "ema"),
    ),
    "objective": (
        *(
            "loss",
            "focal_alpha",
            "focal_gamma",
            "label_smoothing",
            "rater_bias",
            "distill_weight",
            "distill_temperature",
        ),
        *("contrastive_weight", "balance_weight", "auxiliary_levels", "level_weight", "subclass_weight", "subclasses"),
    ),
    "augmentation": (
        *("crop", "flip", "flip_vertical", "swap", "shift", "rotate", "translate", "crop_scale", "randaugment"),
        *("magnitude", "cutout", "lines", "brightness", "contrast", "saturation", "hue", "augment_from"),
    ),
    "curriculum": ("easy_share", "easy_until"),
    "stopping": ("monitor", "patience", "min_delta"),
    "arithmetic": ("precision", "compile", "checkpoint_stages", "deterministic"),
}
"""Training values of each group of flags. Together with those of the run, they are all of them."""


def networks() -> dict[str, dict[str, Callable[..., None]]]:
    """A command for each network, by the title of its group and its name."""
    from twinrank.models.registry import entries

    groups: dict[str, dict[str, Callable[..., None]]] = {}
    for entry in entries():
        title = f"Stage {entry.stage} of the training guide" if entry.stage else "Our own"
        groups.setdefault(title, {})[entry.name] = _train_command(entry)
    return groups


def with_source(name: str) -> Callable[..., None] | None:
    """The command for a network whose weights come from elsewhere, such as ``run:runs/a``; None for other names.

    Raises:
        InputError: The weights are not there.
    """
    from twinrank.models.registry import entry, is_source

    return _train_command(entry(name), name) if is_source(name) else None


def _train_command(entry: "ModelEntry", name: str | None = None) -> Callable[..., None]:
    """The command that trains a network, with its options and its values as defaults.

    Args:
        entry: Network.
        name: Name by which it is chosen, if that is not its own.
    """
    name = name or entry.name
    run = _run_flags(entry, folder_name(name))
    groups = {"run": run, "images": ImageFlags, "network": _network_flags(entry)}
    groups |= {group: _value_flags(group, names, entry) for group, names in VALUES.items()}
    types = [(name, _grouped(kind, name), _default(kind, name)) for name, kind in groups.items()]
    Flags = make_dataclass("Flags", types)

    def train(flags: Annotated[Flags, tyro.conf.arg(name="")]) -> None:  # pyright: ignore[reportInvalidTypeForm]
        given = {name: value for group in vars(flags).values() for name, value in vars(group).items()}
        _train(name, entry, given, vars(flags)["images"])

    train.__doc__ = entry.summary
    return train


def _grouped(kind: type, name: str) -> Any:
    return Annotated[kind, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name=name)]


def _default(kind: type, name: str) -> Any:
    # Files have no default, so the group of the run has none.
    return field() if name == "run" else field(default_factory=kind)


def _run_flags(entry: "ModelEntry", folder: str) -> type:
    files: list[Any] = [
        ("train", Annotated[File, tyro.conf.arg(help="Labelled pairs to fit.")]),
        _val_flag(entry),
    ]
    out = f"Run folder, new; runs/{folder} by default."
    others: list[Any] = [
        ("out", Annotated[OptionalFolder, tyro.conf.arg(help=out, metavar="FOLDER", help_behavior_hint="")], None),
        *_fields(RUN, entry),
        (
            "threads",
            Annotated[Threads, tyro.conf.arg(help="CPU threads; all cores by default.", help_behavior_hint="")],
            None,
        ),
        (
            "log_to",
            Annotated[
                str,
                tyro.conf.arg(
                    help="Sinks that follow the training: tensorboard, wandb or both, separated by a comma.",
                    metavar="SINK[,SINK]",
                    help_behavior_hint=shown_default,
                ),
            ],
            "",
        ),
    ]
    return make_dataclass("Run", [*files, *others], namespace={"__doc__": PURPOSES["run"]})


def _val_flag(entry: "ModelEntry") -> Any:
    help = "Labelled pairs that choose the epoch."
    if "head" not in entry.options:
        return ("val", Annotated[File, tyro.conf.arg(help=help)])
    return ("val", Annotated[OptionalFile, tyro.conf.arg(help=f"{help} A linear or a mixed head needs none.")], None)


def _network_flags(entry: "ModelEntry") -> type:
    types = entry.option_types
    kinds = {name: flag_type(types[name]) for name in types}
    # What a network of another library is built from comes with its name.
    kinds |= {name: tyro.conf.Suppress[kinds[name]] for name in kinds if name == "config"}
    options = [(name, kinds[name], field(default=value)) for name, value in entry.options.items()]
    return make_dataclass("Network", options, namespace={"__doc__": entry.documentation})


def _value_flags(group: str, names: tuple[str, ...], entry: "ModelEntry") -> type:
    return make_dataclass(group.capitalize(), _fields(names, entry), namespace={"__doc__": PURPOSES[group]})


def _fields(names: tuple[str, ...], entry: "ModelEntry") -> list[Any]:
    texts, types = descriptions(), get_type_hints(TrainConfig)
    return [
        (
            name,
            Annotated[types[name], tyro.conf.arg(help=texts[name], help_behavior_hint=shown_default)],
            getattr(entry.train, name),
        )
        for name in names
    ]


@cache
def descriptions() -> dict[str, str]:
    """The description of each training value: the text below its field."""
    (body,) = ast.parse(inspect.getsource(TrainConfig)).body
    assert isinstance(body, ast.ClassDef)
    return {
        value.target.id: " ".join(text.value.value.split())
        for value, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(value, ast.AnnAssign) and isinstance(value.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _train(name: str, entry: "ModelEntry", given: dict[str, Any], images: ImageFlags) -> None:
    config = TrainConfig(**{each.name: given[each.name] for each in fields(TrainConfig)})
    options = {name: given[name] for name in entry.options}
    from twinrank.training.ranks import ranks_of_environment
    from twinrank.training.sinks import parse_sinks
    from twinrank.training.train import train

    folder, sinks = given["out"] or Path("runs") / folder_name(name), parse_sinks(given["log_to"])
    with ranks_of_environment() as ranks, listening() if ranks.first else nullcontext(Context()) as context:
        context = replace(context, threads=given["threads"])
        spec, files = RunSpec(name, config, options), (given["train"], given["val"])
        how = {"source": images.source(), "stated": given_flags(), "log_to": sinks}
        train(spec, *files, folder, **how, context=context, ranks=ranks)
