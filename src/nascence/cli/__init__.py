"""The command ``nascence``. Torch is loaded inside the commands, so that --help is quick."""

import os
from typing import Annotated

import typer

from nascence.cli.bench_command import bench
from nascence.cli.classify_command import classify, evaluate
from nascence.cli.console import DONE, FAILED, INTERRUPTED, MISSING_EXTRA, USAGE, quieten_libraries
from nascence.cli.design_command import design, resume
from nascence.cli.fold_command import fold
from nascence.cli.help import DESIGN, LEARN, PARTS, USE, Command, Commands
from nascence.cli.meta_train_command import meta_train
from nascence.cli.predict_command import predict
from nascence.cli.search_command import search
from nascence.cli.try_command import try_network

__all__ = ["DONE", "FAILED", "INTERRUPTED", "MISSING_EXTRA", "USAGE", "app", "main"]

app = typer.Typer(
    name="nascence",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "NASCENCE"},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nascence import __version__

        typer.echo(__version__)
        raise typer.Exit(DONE)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Design a neural network, predict its first weights, train it and make it small."""


for name, function, panel in (
    ("design", design, DESIGN),
    ("resume", resume, DESIGN),
    ("classify", classify, USE),
    ("evaluate", evaluate, USE),
    ("try", try_network, USE),
    ("search", search, PARTS),
    ("predict", predict, PARTS),
    ("fold", fold, PARTS),
):
    app.command(name, cls=Command, rich_help_panel=panel)(function)
app.add_typer(meta_train, name="meta-train", rich_help_panel=LEARN)
app.add_typer(bench, name="bench", rich_help_panel=LEARN)


def main() -> None:
    """Entry point of the command."""
    # Threads that spin while they wait bring a busy machine to a stand-still.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    quieten_libraries()
    app()
