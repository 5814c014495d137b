"""``nascence predict``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nascence.cli.console import (
    Device,
    Images,
    Json,
    check_new_file,
    failures_as_lines,
    say,
    say_json,
    say_table,
)
from nascence.cli.number_options import Seed, number
from nascence.core import ranges


def predict(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_FILE",
            help="resnet20, vit_cifar, ...; timm/NAME; torchvision/NAME; FILE.py:NAME, a class or "
            "function that makes the network; or a file of weights with --architecture.",
        ),
    ],
    data: Images = "cifar10-sample",
    architecture: Annotated[
        str | None, typer.Option(help="Name of the network that a file of weights is for.")
    ] = None,
    size: Annotated[
        int | None, number("--size", ranges.SIDE, help="Side in pixels that images are scaled to.")
    ] = None,
    classes: Annotated[
        int | None,
        number(
            "--classes",
            ranges.CLASSES,
            help="Outputs of the network; by default, one for each class of the data.",
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Hypernetwork: a released name or a .safetensors file.")
    ] = "ghn2-cifar10",
    images: Annotated[
        int,
        number(
            "--images",
            ranges.SPLIT_IMAGES,
            help="Maximum number of training images to fit, and of images to test on.",
        ),
    ] = 1000,
    head: Annotated[
        str, typer.Option(help="Classifier to save: ridge (fitted in closed form) or predicted.")
    ] = "ridge",
    noise: Annotated[
        float,
        number(
            "--noise",
            ranges.NOISE,
            help="Noise, relative to each tensor, that lets training separate equal filters.",
        ),
    ] = 0.0,
    out: Annotated[Path | None, typer.Option(help="Safetensors file to write.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Predict all parameters of a network, and its accuracy before any training."""
    with failures_as_lines():
        if head not in ("ridge", "predicted"):
            raise ValueError(f"--head is {head!r}; it must be ridge or predicted")
        check_new_file(out)
        facts = _predicted(
            source, data, architecture, size, classes, weights, images, head, noise, out, seed,
            device,
        )  # fmt: skip
        if as_json:
            say_json(facts)
        else:
            _print(facts)


def _predicted(
    source: str,
    data: str,
    architecture: str | None,
    size: int | None,
    classes: int | None,
    weights: str,
    images: int,
    head: str,
    noise: float,
    out: Path | None,
    seed: int,
    device: str,
) -> dict[str, Any]:
    import torch

    from nascence.cli.networks import network
    from nascence.cli.prediction import predict_network, save_state
    from nascence.core.devices import device_of
    from nascence.data import load as load_data
    from nascence.hypernet import load

    place = device_of(device)
    ghn = load(weights)
    images_and_labels = load_data(data, size=size)
    count = images_and_labels.classes
    if classes is not None and classes < count:
        raise ValueError(f"--classes is {classes} but the data has {count} classes")
    torch.manual_seed(seed)  # of the random values to compare with
    model = network(
        source,
        classes=classes or count,
        in_channels=images_and_labels.image_shape[0],
        architecture=architecture,
    )
    result = predict_network(
        model,
        ghn,
        images_and_labels,
        images=images,
        noise=noise,
        head=head,
        generator=torch.Generator().manual_seed(seed),
        device=place,
        own=None if architecture is None else "file",
    )
    facts = {"network": architecture or source, "data": images_and_labels.name, **result.facts}
    facts["hypernetwork"] = weights
    if out is not None:
        save_state(result.state, out, facts)
        facts["file"] = str(out)
    return facts


def _print(facts: dict[str, Any]) -> None:
    say_table(
        f"{facts['network']} on {facts['validation_images']} validation images",
        ("parameters", "accuracy before training"),
        ((name, f"{value:.1%}") for name, value in facts["accuracy"].items()),
    )
    say(
        f"{facts['parameters']:,} parameters on {facts['nodes']} nodes in "
        f"{1e3 * facts['seconds']:.0f} ms, {facts['macs'] / 1e6:.1f} M multiply-adds for one image"
    )
    if facts["no_closed_form_head"]:
        say(f"No closed-form head: {facts['no_closed_form_head']}")
    if "file" in facts:
        say(f"Wrote {facts['file']} with the {facts['head']} head")
