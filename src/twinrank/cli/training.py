"""Commands that train many networks, and go on with, follow or shrink one."""

from pathlib import Path
from typing import Annotated

import tyro

from twinrank.cli.arguments import (
    Changes,
    File,
    ModelArgument,
    OptionalFile,
    OptionalFolder,
    OptionalImages,
    OptionalNumber,
    OptionalText,
    OutFolder,
    RunArgument,
    Threads,
)
from twinrank.cli.executor import ExecutorFlags
from twinrank.cli.images import ImageFlags
from twinrank.cli.output import given_command, say
from twinrank.core.context import Context
from twinrank.models.names import folder_name

Seeds = Annotated[str, tyro.conf.arg(metavar="SEED[,SEED]")]


def resume(
    run: RunArgument,
    train: OptionalFile = None,
    val: OptionalFile = None,
    images: OptionalImages = None,
    epochs: OptionalNumber = None,
) -> None:
    """Continue a training that was stopped; the result is the same, bit for bit.

    A longer training can follow a finished one, where nothing depends on the number of epochs: its schedule is
    constant or plateau, and it has no curriculum (--easy-share 1).

    Args:
        run: Run folder.
        train: New place of the pairs that are fitted; that in config.json by default.
        val: New place of the pairs that choose the epoch; that in config.json by default.
        images: New place of the images that tables name; that in config.json by default.
        epochs: New number of epochs of the whole run; that in config.json by default.
    """
    from twinrank.training.ranks import ranks_of_environment
    from twinrank.training.train import resume

    with ranks_of_environment() as ranks:
        context = Context(say) if ranks.first else Context()
        resume(run, train=train, val=val, images=images, epochs=epochs, context=context, ranks=ranks)


def watch(run: RunArgument) -> None:
    """Follow a running training with its curve, until it ends.

    Args:
        run: Run folder.
    """
    from twinrank.training.watch import watch

    watch(run)


def seeds(
    model: ModelArgument,
    train: File,
    val: File,
    seeds: Seeds = "42,2023,2024,2025",
    out: OptionalFolder = None,
    simple: bool = False,
    threads: Threads = None,
    changes: Changes = (),
    flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags(),
    places: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),
) -> None:
    """Train a network with several seeds, each into its own run folder.

    Finished runs are skipped; stopped runs continue.

    Args:
        model: Network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs that choose the epoch.
        seeds: Seeds, separated by commas.
        out: Folder of the run folders, which are named seed_SEED; runs/MODEL_seeds by default.
        simple: A quarter of the epochs, for quick experiments.
        threads: CPU threads; all cores by default.
        changes: Value that differs from the network's own, for example train.epochs=3 or options.width=8.
        flags: Tables: their images and columns.
        places: Where trainings run.
    """
    from twinrank.workflows.recipe import seeds_recipe

    recipe = seeds_recipe(model, seeds, simple, changes)
    from twinrank.reporting.seeds import seeds_summary
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import jobs_table
    from twinrank.workflows.seeds import train_seeds

    out = Path("runs") / f"{folder_name(model)}_seeds" if out is None else out
    with jobs_table() as show:
        context = places.on(Context(say, show=show, command=given_command(), threads=threads))
        failed = train_seeds(recipe, train, val, out, source=flags.source(), context=context)
    trained = [out / name for name in recipe.runs if name not in failed]
    if trained:
        print(seeds_summary(trained))
    require_all_done(failed)


def tune(
    model: ModelArgument,
    train: File,
    val: File,
    trials: int = 100,
    space: str = "guide",
    out: OptionalFolder = None,
    storage: OptionalText = None,
    retrain_seeds: Seeds = "1,2",
    threads: Threads = None,
    changes: Changes = (),
    flags: Annotated[ImageFlags, tyro.conf.arg(name="")] = ImageFlags(),
    places: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),
) -> None:
    """Search for better values, then train the best ones on fresh seeds.

    The defaults are trained on the same seeds, for comparison. A search that was stopped continues where it stopped.

    Args:
        model: Network that "twinrank models" lists.
        train: Labelled pairs to fit.
        val: Labelled pairs on which the accuracy is maximised.
        trials: Number of trials to finish. More than before continue the same search.
        space: Values to choose from: "guide" (learning rate and weight decay), "order_net", or a YAML file.
        out: Search folder; runs/MODEL_tune by default.
        storage: Database URL, for example sqlite:///search.db; a file in the folder by default.
        retrain_seeds: Seeds, separated by commas; "" trains nothing again.
        threads: CPU threads; all cores by default.
        changes: Value that differs from the network's own in all trials, for example train.epochs=3.
        flags: Tables: their images and columns.
        places: Where trainings run.
    """
    from twinrank.tuning.space import read_space
    from twinrank.workflows.recipe import model_spec, parse_seeds

    spec = model_spec(model, changes)
    chosen = read_space(space, spec)
    fresh = parse_seeds(retrain_seeds, "`retrain_seeds`") if retrain_seeds else []
    from twinrank.core.files import read_json
    from twinrank.reporting.tuning import search_text
    from twinrank.training.jobs import require_all_done
    from twinrank.training.watch import jobs_table
    from twinrank.workflows.tune import SUMMARY, tune

    out = Path("runs") / f"{folder_name(model)}_tune" if out is None else out
    with jobs_table() as show:
        context = places.on(Context(say, show=show, command=given_command(), threads=threads))
        failed = tune(spec, chosen, train, val, out, trials, storage, fresh, source=flags.source(), context=context)
    print(search_text(read_json(out / SUMMARY)))
    require_all_done(failed)


def slim(run: RunArgument, out: OutFolder) -> None:
    """Copy a trained network into a small folder, for passing it on.

    The weights are kept in half precision, without a checkpoint.

    Args:
        run: Run folder.
        out: Run folder, new; "twinrank evaluate" measures how good it is.
    """
    from twinrank.workflows.slim import slim

    weights = slim(run, out).weights
    print(f"{weights}: {weights.stat().st_size / 1e6:.2f} MB")
