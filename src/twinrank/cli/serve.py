"""The command that serves predictions."""

from typing import Annotated

import tyro

from twinrank.cli.arguments import AnyRunsArguments, Threads
from twinrank.cli.output import listening


def serve(
    models: AnyRunsArguments = (),
    port: int = 8000,
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1",
    threads: Threads = None,
) -> None:
    """Serve predictions over HTTP, with a page to try a network on.

    Args:
        models: Run folders, stack folders or exported files, each a model of its own. The mean of several is one
            model: RUN,RUN. The default is the network that comes with twinrank.
        port: Port; 0 for any that is free.
        host: Address. Only this machine reaches 127.0.0.1; 0.0.0.0 is open to the network, without a password.
        threads: CPU threads of the networks; all cores but one by default, which reads requests.
    """
    from twinrank.workflows.serve import serve

    with listening() as context:
        serve(models, host=host, port=port, threads=threads, context=context)
