"""``twinrank serve``: predictions over HTTP, and a page to try a network on."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from twinrank.core.context import Context
from twinrank.core.extras import needed
from twinrank.core.machine import available_threads
from twinrank.core.messages import counted
from twinrank.errors import InputError
from twinrank.runs import PRETRAINED


def serve(
    models: Sequence[Sequence[Path]] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int | None = None,
    context: Context = Context(),
) -> None:
    """Serve predictions until the process is stopped. Requests that have begun are answered first.

    Args:
        models: Run folders, stack folders or exported files of each model; the mean predicts where there are several.
            Without any it is the network that comes with twinrank.
        host: Address to listen on.
        port: Port; 0 for any that is free.
        threads: CPU threads of the networks; None for all cores but one, which reads requests.
        context: Listeners.

    Raises:
        InputError: A package is missing, or a model or an address is refused.
        CheckFailed: The process of the networks has ended.
    """
    with needed("the server", "serve"):
        from twinrank.core.web import address_of, bound, is_loopback, run
        from twinrank.serving.app import make_app
    from twinrank.serving.models import names_of
    from twinrank.serving.networks import networks

    if threads is not None and threads < 1:
        raise InputError(f"`threads` is {threads}; it must be 1 or more")
    threads = threads or max(1, available_threads() - 1)
    names = names_of(models) if models else ["pretrained"]
    paths = dict(zip(names, models or [[PRETRAINED]], strict=True))
    with bound(host, port) as listening, networks(paths, threads) as loaded:
        context.say(f"{counted(len(names), 'model', 'models')}: {', '.join(names)}")
        address = address_of(listening, host)
        context.say(f"{address} is the page, {address}docs explains requests; Ctrl-C ends the server")
        if not is_loopback(host):
            context.say("note: everybody who reaches this address may send images; there is no password")
        with suppress(KeyboardInterrupt):
            run(make_app(loaded.models, only_loopback=is_loopback(host)), listening)
        loaded.require_alive()
