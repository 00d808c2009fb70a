"""The commands under one roof."""

from __future__ import annotations

from typing import Annotated

import typer

from velocell.cli import (
    batch,
    calibrate,
    convert,
    demo,
    detect,
    evaluate,
    export,
    import_network,
    info,
    live,
    simulate,
    train,
    tuning,
    view,
)
from velocell.cli.config import configurable, reporting
from velocell.cli.examples import epilog
from velocell.cli.guard import guarded, show_tracebacks
from velocell.cli.help import PlainCommand

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from velocell.data.meta import version

        print(f"velocell {version()}")
        raise typer.Exit()


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Find disk-like objects in event-camera recordings, and the speed band of each, with a spiking network."""
    show_tracebacks(debug)


for command in (
    demo.demo,
    info.info,
    detect.detect,
    batch.batch,
    live.live,
    convert.convert,
    simulate.simulate,
    evaluate.evaluate,
    calibrate.calibrate,
    export.export,
    import_network.import_,
    train.train,
    tuning.tuning,
    view.view,
):
    name = command.__name__.rstrip("_")  # Python has a word `import` of its own
    app.command(name, cls=PlainCommand, epilog=epilog(name))(guarded(configurable(reporting(command))))
