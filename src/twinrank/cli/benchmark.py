"""Commands about results on the benchmark."""

import re

from twinrank.cli.arguments import AnyRunArguments, Means, OptionalFolder, existing_runs
from twinrank.errors import InputError


def record(runs: AnyRunArguments, mean: Means = (), out: OptionalFolder = None) -> None:
    """Sum up evaluated runs over their seeds.

    The table has the accuracy on every file and the training time. The picture has published results, too.

    Args:
        runs: Run folders named TARGET_seedSEED, for example those of "twinrank run record".
        mean: Ensemble of evaluated runs as TARGET=RUN,RUN,...: the mean of their logits.
        out: Folder for the table as record.json and record.md, and for the picture record.png.
    """
    if not (runs or mean):
        raise InputError("`runs` is missing; name one or more")
    from twinrank.reporting.targets import read_ensemble, read_targets, record_text, write_record

    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; choose another one with `out`")
    targets = read_targets(runs)
    for each in mean:
        name, _, members = map(str.strip, each.partition("="))
        if not re.fullmatch(r"[\w.-]+", name) or not members:
            raise InputError(
                f"`mean`: '{each}' is not of the form TARGET=RUN,RUN, with letters, digits, '_', '-' and '.'"
            )
        if name in [target.name for target in targets]:
            raise InputError(f"`mean`: {name} is there already; give '{each}' another TARGET")
        targets.append(read_ensemble(name, list(existing_runs(members))))
    print(record_text(targets))
    if out is not None:
        for written in write_record(targets, out):
            print(written)
