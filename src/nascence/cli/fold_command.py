"""``nascence fold``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import Json, check_new_file, failures_as_lines, say_json
from nascence.cli.number_options import numbers
from nascence.core import ranges

if TYPE_CHECKING:
    from nascence.reparam import FoldReport


def fold(
    source: Annotated[
        str,
        typer.Argument(
            help="MODEL.onnx, repvgg-a0, mobileone-s0, resnet20 and others, timm/NAME, "
            "torchvision/NAME, FILE.py:NAME, or a file of weights."
        ),
    ],
    architecture: Annotated[
        str | None, typer.Option(help="Name of the network that a file of weights is for.")
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="Shape of the example input, separated by commas; 1,3,224,224 if not given, "
            "and for an ONNX file the shapes that it declares."
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="For an ONNX file: npz file of inputs by name to check on, with 'labels' for "
            "accuracy."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Compare outputs before and after; undo what changes them.")
    ] = True,
    onnx: Annotated[
        Path | None, typer.Option(help="ONNX file to write, for any batch size if possible.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: ONNX for an ONNX file, else safetensors."),
    ] = None,
    deploy: Annotated[
        bool, typer.Option(help="Also try torch.compile, ONNX and int8, and report on each.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold BatchNorms and parallel branches of a network into its convolutions, exactly.

    An ONNX file is folded into a smaller one: nascence fold model.onnx --out small.onnx
    """
    with failures_as_lines():
        if source.lower().endswith(".onnx"):
            unfit = {"--architecture": architecture, "--onnx": onnx, "--deploy": deploy or None}
            _fold_file(Path(source), shape, verify, inputs, out, unfit, as_json)
            return
        if inputs is not None:
            raise ValueError("--inputs goes with an ONNX file; give --shape for other networks")
        sizes = _shape_of("1,3,224,224" if shape is None else shape)
        check_new_file(onnx)
        check_new_file(out)
        if onnx is not None and out is not None and onnx.resolve() == out.resolve():
            raise ValueError(f"--onnx and --out are both {out}; give two files")
        from nascence.cli.networks import foreign_failures_named, network
        from nascence.reparam import fold_network

        channels = sizes[1] if len(sizes) == 4 else 3
        model = network(source, in_channels=channels, architecture=architecture)
        with foreign_failures_named(architecture or source):
            job = fold_network(
                model, shape=sizes, verify=verify, onnx=onnx, weights=out, try_deployment=deploy
            )
        facts = _facts(job.report)
        facts["files"] = [str(path) for path in job.files]
        facts["limits"] = list(job.limits)
        facts["forms"] = [str(form) for form in job.forms]
        facts["int8"] = [layer._asdict() for layer in job.int8]
        if as_json:
            say_json(facts)
        else:
            typer.echo(_text(job.report, facts))


def _fold_file(
    source: Path,
    shape: str | None,
    verify: bool,
    inputs: Path | None,
    out: Path | None,
    unfit: dict[str, Any],
    as_json: bool,
) -> None:
    """Fold an ONNX file."""
    for option, value in unfit.items():
        if value is not None:
            raise ValueError(
                f"{option} goes with a PyTorch network; the folded ONNX file is written with --out"
            )
    sizes = None if shape is None else _shape_of(shape)
    check_new_file(out)
    from nascence.folding.command import fold_file

    job = fold_file(source, out=out, inputs=inputs, shape=sizes, verify=verify)
    facts = _facts(job.report)
    facts["files"] = [str(path) for path in job.files]
    if job.accuracy is not None:
        facts["accuracy"] = {"before": job.accuracy[0], "after": job.accuracy[1]}
    if as_json:
        say_json(facts)
        return
    lines = [str(job.report)]
    if job.accuracy is not None:
        lines.append(f"accuracy: {job.accuracy[0]:.4f} -> {job.accuracy[1]:.4f}")
    typer.echo("\n".join([*lines, *(f"wrote {path}" for path in job.files)]))


def _shape_of(text: str) -> tuple[int, ...]:
    """The sizes of an example, of which there are not too many values to hold."""
    sizes = numbers("--shape", text, ranges.SHAPE)
    ranges.ELEMENTS.check("--shape in numbers of an example", math.prod(sizes))
    return sizes


def _facts(report: "FoldReport") -> dict[str, Any]:
    """The report as plain values."""
    return {
        "folded": [rewrite._asdict() for rewrite in report.folded],
        "left": [refusal._asdict() for refusal in report.left],
        "notes": list(report.notes),
        "before": _cost(report.before),
        "after": _cost(report.after),
        "error": report.error,
        "error_in_dtype": report.error_in_dtype,
    }


def _cost(cost: Any) -> dict[str, Any]:
    found = cost._asdict()
    latency = found.pop("latency")
    return {**found, "latency_ms": None if latency is None else 1e3 * latency.median}


def _text(report: "FoldReport", facts: dict[str, Any]) -> str:
    lines = [str(report), *facts["forms"]]
    lines += [
        f"int8 in {layer['layer']} alone: error {layer['weight']:.1e} by its weight, "
        f"{layer['activation']:.1e} by its activation"
        for layer in facts["int8"][:10]
    ]
    lines += [f"note: {limit}" for limit in facts["limits"]]
    return "\n".join([*lines, *(f"wrote {path}" for path in facts["files"])])
