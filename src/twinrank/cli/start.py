"""Commands to begin with."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from twinrank.cli.arguments import (
    Changes,
    Columns,
    FileArgument,
    Files,
    OptionalFile,
    OptionalFit,
    OptionalFolder,
    OptionalImages,
    OptionalNumber,
    OptionalText,
    OutFolder,
    Threads,
    listed,
    require_train,
)
from twinrank.cli.executor import ExecutorFlags
from twinrank.cli.output import given_command, listening, print_metrics, progress_bars, say
from twinrank.core.context import Context


def fit(
    judgements: FileArgument,
    images: OptionalImages = None,
    out: OutFolder = Path("runs/fit"),
    minutes: float = 15.0,
    groups: OptionalText = None,
    columns: Columns = None,
    size: OptionalNumber = None,
    fit: OptionalFit = None,
    background: Annotated[str, tyro.conf.arg(metavar="COLOUR")] = "white",
    range: listed(float) = (),  # pyright: ignore[reportInvalidTypeForm]
    page: OptionalNumber = None,
    seed: int = 0,
    threads: Threads = None,
    places: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),
) -> None:
    """Fit what suits your judgements, rank all images, and say how good it is.

    Some images are held out as a test. What is done already is not done again.

    Args:
        judgements: Table of judgements, or a folder with one; or pairs of arrays, such as an NPZ file.
        images: Folder of the images that the table names; that of the table by default.
        out: Folder of everything that is made: model, ranking, report.
        minutes: Time for trying several ways; heads that are tried first are always finished.
        groups: Column of groups of images, such as patients or places, which are held out whole; or two, of the left
            and the right image. "none" holds out images, also where they lie in several folders.
        columns: Columns of the table where their names do not tell, such as left=photo_1,right=photo_2.
        size: Pixels in height and width; by default what suits the images.
        fit: How an image of another shape is brought to that size; by default, what suits the images.
        background: Colour behind transparent pixels, and of margins.
        range: Values that become black and white, for images of more than 8 bits, such as 0,4095.
        page: Page or frame of files with several, from 0.
        seed: Seed of all random numbers.
        threads: CPU threads; all cores by default.
        places: Where networks are fitted, where several may be at a time.
    """
    from twinrank.data.images.reading import Reading
    from twinrank.data.source import Source
    from twinrank.workflows.fit import fit as fit_judgements
    from twinrank.workflows.fit_plan import LARGE

    # A stated fit is the only one that is tried.
    size = LARGE if size is None and fit is not None else size
    reading = Reading(size, fit or "resize", background=background, range=range or None, page=page)
    source = Source(images, columns or {}, reading)
    with listening() as context:
        context = places.on(replace(context, threads=threads))
        made = fit_judgements(judgements, out, source, minutes=minutes, seed=seed, groups=groups, context=context)
    for line in made.found["said"]:
        print(line)
    for name in ("ranking.csv", "ranking.html", "report.html"):
        if name == "report.html" or made.ranking is not None:
            print(out / name)


def run(
    recipe: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RECIPE")]],
    out: OptionalFolder = None,
    data: OutFolder = Path("data"),
    train: OptionalFile = None,
    val: OptionalFile = None,
    test: Files = (),
    images: OptionalImages = None,
    columns: Columns = None,
    changes: Changes = (),
    threads: Threads = None,
    places: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),
) -> None:
    """Run a recipe from data to a report; begin with 'twinrank run demo'.

    Steps that are already done are skipped.

    Args:
        recipe: Name of a recipe, or a YAML file. "demo" trains one network in 14 minutes. "cpu" trains the whole
            family, in an hour and a half on two cores with --workers 2. "stack" trains ten base models and their
            ensembles, in over two hours. "record" trains the best network from the pairs alone, with two seeds, in two
            hours. "open" does the same with known digits. "ablations", "parts", "distillation" and "ceiling" measure
            what things are worth, in half an hour to an hour each. For a GPU are "guide", which has the training
            guide's models and values, and "stack_gpu", which stacks its ten networks.
        out: Run folder, or folder of run folders; runs/RECIPE by default.
        data: Folder for the benchmark's files; of no use with --train.
        train: Your own labelled pairs that are fitted, in place of the benchmark's.
        val: Your own labelled pairs that choose epochs, or are stacked.
        test: Your own labelled pairs of a test; give it again for each file.
        images: Folder of the images that tables name; that of the table by default.
        columns: Columns of a table where their names do not tell, such as left=photo_1,right=photo_2.
        changes: Value that differs from the recipe, for example train.epochs=3.
        threads: CPU threads; all cores by default.
        places: Where trainings run.
    """
    from twinrank.workflows.recipe import read_recipe

    chosen = read_recipe(recipe, changes)
    require_train(train, val, test)
    from twinrank.data.source import Source
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import jobs_table
    from twinrank.workflows.own_files import own_files
    from twinrank.workflows.run import run_recipe

    out = Path("runs") / Path(recipe).stem if out is None else out
    with progress_bars() as progress, jobs_table() as show:
        context = places.on(Context(say, progress, show, given_command(), threads))
        source = Source(images, columns or {})
        own = None if train is None else own_files(train, val, test, out / "data", source, chosen, context)
        failed = run_recipe(chosen, out, data, own, context=context)
    if list(chosen.runs) == [""]:
        print_metrics(out)
        print(f"report: {out / 'report.html'}")
        for predictions in sorted(out.glob("pred_*.csv")):
            print(f"{'submission' if own is None else 'predictions'}: {predictions}")
    require_all_done(failed)


def models(
    model: tyro.conf.Positional[Annotated[OptionalText, tyro.conf.arg(metavar="[MODEL]")]] = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    channels: int = 1,
    image_size: int = 28,
) -> None:
    """List the networks that can be trained, with their cost, or describe one.

    Args:
        model: Network to describe, with its options and training values; all of them are listed by default.
        as_json: List of objects: name, stage, parameters, macs (multiply-adds of a pair), source and more.
        channels: Channels of the images, 1 or 3.
        image_size: Height and width of the images, in pixels.
    """
    from twinrank.models.registry import entry

    if model is not None:
        # A wrong name is refused before torch is imported.
        entry(model)
    from twinrank.models.profile import describe_models

    described = describe_models(channels, image_size, model)
    if as_json:
        print(json.dumps(described, indent=2))
    elif model is None:
        _print_models(described)
    else:
        _print_model(described[0])


def _print_models(described: list[dict[str, Any]]) -> None:
    width = max(len(model["name"]) for model in described)
    print(f"{'name':<{width}}  stage  {'parameters':>10}  {'multiply-adds':>13}  source")
    for model in described:
        costs = f"{model['parameters']:>10,}  {model['macs']:>13,}"
        print(f"{model['name']:<{width}}  {model['stage'] or 'ours':<5}  {costs}  {model['source']}")
    print("Multiply-adds are those of one pair.")
    print("'twinrank train MODEL --help' describes a network, its options and its training values.")


def _print_model(described: dict[str, Any]) -> None:
    from twinrank.models.registry import entry

    print(f"{described['name']}: {described['summary']}")
    costs = {"parameters": f"{described['parameters']:,}", "multiply-adds of a pair": f"{described['macs']:,}"}
    origin = {"source": described["source"], "stage of the guide": described["stage"] or "ours"}
    _print_values("Network", costs | origin)
    _print_values("Options", described["options"])
    own = entry(described["name"]).train
    values = {each.name: getattr(own, each.name) for each in fields(own) if getattr(own, each.name) != each.default}
    _print_values("Training values that differ from the defaults", values)
    print(f"\n'twinrank train {described['name']} --help' describes them.")


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    print(f"\n{title}:")
    width = max(map(len, values), default=0)
    for name, value in values.items():
        print(f"  {name:<{width}}  {','.join(map(str, value)) if isinstance(value, tuple) else value}")
