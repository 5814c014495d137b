"""A page that classifies pictures in the browser: one HTML file that needs nothing else."""

import base64
import gzip
from collections.abc import Iterable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nascence.core.files import write_whole
from nascence.inference.browser_runtime import VERSION, BrowserRuntime
from nascence.inference.classifier import Classifier
from nascence.report.page import script_json

NAME = "try.html"
PARTS = files("nascence.inference").joinpath("template")


def write_page(classifier: Classifier, runtime: BrowserRuntime, path: Path) -> None:
    """Write the page of a network, whole or not at all.

    Args:
        classifier: The network.
        runtime: What runs it in the browser.
        path: The file.

    Raises:
        WriteError: It cannot be written.
    """
    write_whole(path, render_page(classifier, runtime).encode("utf-8", "replace"))


def render_page(classifier: Classifier, runtime: BrowserRuntime) -> str:
    """Render the page of a network as one HTML document.

    Names of classes come from outside: they are escaped, and the document's policy lets nothing
    be loaded and no script run but its own.

    Args:
        classifier: The network.
        runtime: What runs it in the browser.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    scripts = {name: _text(f"{name}.js") for name in ("pixels", "try")}
    height, width = classifier.form.size
    facts = {
        "classes": classifier.class_names,
        "height": height,
        "width": width,
        "grey": classifier.form.grey,
        "framing": classifier.form.framing,
        "input": classifier.session.get_inputs()[0].name,
        "output": classifier.session.get_outputs()[0].name,
    }
    return environment.from_string(_text("try.html.j2")).render(
        title=classifier.path.resolve().parent.name or classifier.path.name,
        policy=_policy(scripts.values()),
        style=Markup(_text("try.css")),
        scripts=[Markup(script) for script in scripts.values()],
        facts=script_json(facts),
        form=f"{width} × {height} pixels, {'grey' if classifier.form.grey else 'colour'}",
        classes=len(classifier.class_names),
        runtime_script=_packed(runtime.script),
        runtime_binary=_packed(runtime.binary),
        network=_packed(classifier.path.read_bytes()),
        runtime_version=VERSION,
        licence=runtime.licence,
    )


def _text(name: str) -> str:
    return PARTS.joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str]) -> str:
    hashes = (base64.b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        "default-src 'none'; img-src data: blob:; media-src blob: mediastream:; "
        f"style-src 'unsafe-inline'; script-src {allowed} blob: 'wasm-unsafe-eval'"
    )


def _packed(content: bytes) -> Markup:
    return Markup(base64.b64encode(gzip.compress(content, 9, mtime=0)).decode())
