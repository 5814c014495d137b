"""``nascence try``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from nascence.cli.console import failures_as_lines, say
from nascence.cli.number_options import number
from nascence.core import ranges


def try_network(
    network: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_ONNX", help="Folder of a finished run, or an ONNX file."),
    ],
    port: Annotated[
        int, number("--port", ranges.PORT, help="Port of the page; 0 takes any that is free.")
    ] = 8765,
    serve: Annotated[
        bool, typer.Option(help="Show the page at an address of this machine until Ctrl-C.")
    ] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write; try.html beside the network if not given."),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(help="Package of onnxruntime-web as npm packs it, in place of fetching it."),
    ] = None,
) -> None:
    """Write a page that classifies pictures in the browser, and open it.

    Drop a picture on it or use the camera: the network runs in the page, and no picture leaves
    the machine. The page is one file that opens by double click. The first time, ONNX Runtime Web
    is fetched from the npm registry, 33 MB, and kept.
    """
    with failures_as_lines():
        from nascence.inference import read_classifier
        from nascence.inference.browser_runtime import browser_runtime
        from nascence.inference.page import NAME, write_page
        from nascence.inference.server import page_server

        classifier = read_classifier(network)
        path = classifier.path.with_name(NAME) if out is None else out
        write_page(classifier, browser_runtime(runtime), path)
        say(f"Page {path}")
        if not serve:
            return
        with page_server(path.read_bytes(), port=port) as server:
            address = f"http://127.0.0.1:{server.server_port}/"
            say(f"Open {address} in a browser; Ctrl-C ends it.")
            if browser:
                webbrowser.open(address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return
