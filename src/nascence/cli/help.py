"""What ``--help`` shows beside the options: groups of them by purpose, and examples."""

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

USE, DESIGN, PARTS, LEARN = (
    "Use a network",
    "Design a network",
    "Its parts, each on its own",
    "Learn to learn, and measure",
)
"""Groups of commands."""
_RUN = "out seed device workers checkpoint_seconds leg processes"
PANELS: dict[str, dict[str, str]] = {
    "design": {
        "Limits": "budget max_params max_latency_ms trials steps",
        "Images": "classes size label_depth",
        "The network and its training": "family block start optimizer baseline opset",
        "The run": _RUN,
    },
    "predict": {
        "Images": "data size images",
        "The network": "architecture classes",
        "Prediction": "weights head noise",
        "The run": _RUN,
    },
    "ghn": {
        "Images": "data batch size crop",
        "Networks that are trained": "cells channels max_macs meta_batch",
        "Training": "kind steps learning_rate schedule average start label_smoothing",
        "Validation": "splits validation_networks validate_every",
        "The run": _RUN,
    },
    "optimizer": {
        "Tasks": "families max_cost lengths",
        "Evolution": "steps cohorts pairs window ramp method objective sigma learning_rate",
        "The optimizer": "architecture start compiled self_train outer",
        "The run": _RUN,
    },
    "optimizers": {
        "What is compared": "names weights trials probe",
        "Tasks": "families max_cost tasks steps seeds",
        "The run": _RUN,
    },
    "latency": {
        "Networks": "data width cells batch_size",
        "Measurement": "networks passes check",
        "The run": _RUN,
    },
}
"""By command: its groups of options, each with the parameters in it."""
VARIABLES = (
    "An option that is not given is read from the environment: NASCENCE_DESIGN_BUDGET=10m stands "
    "for the --budget of nascence design."
)
EXAMPLES: dict[str, tuple[str, ...]] = {
    "design": (
        "nascence design photos --budget 10m --out runs/photos",
        "nascence design photos --max-params 50000 --max-latency-ms 2",
        "nascence design --block repvgg --optimizer learned --seed 1",
    ),
    "resume": ("nascence resume runs/photos",),
    "classify": (
        "nascence classify runs/photos new/1.jpg new/2.jpg",
        "nascence classify runs/photos new --csv --top 1 > new.csv",
        "find . -name '*.jpg' | nascence classify model.onnx - --json",
    ),
    "evaluate": (
        "nascence evaluate runs/photos labelled",
        "nascence evaluate model.onnx x.npz --json",
    ),
    "try": ("nascence try runs/photos", "nascence try model.onnx --no-serve --out page.html"),
    "fold": (
        "nascence fold repvgg-a0 --onnx repvgg-a0.onnx",
        "nascence fold timm/mobileone_s0 --out folded.safetensors",
        "nascence fold weights.pt --architecture torchvision/resnet18",
    ),
    "predict": (
        "nascence predict resnet20 --out resnet20.safetensors",
        "nascence predict timm/resnet18 --data photos --size 32",
    ),
    "search": (
        "nascence search nb201 --budget 200",
        "nascence search nb201 --evaluator naswot+synflow --limit macs=60e6 --budget 10m",
        "nascence search darts --preset pc-darts --steps 1000",
    ),
    "ghn": ("nascence meta-train ghn --out runs/ghn --steps 2000 --for 25m",),
    "optimizer": ("nascence meta-train optimizer --out runs/optimizer --workers 2",),
    "latency": ("nascence bench latency mobile --out latency.json",),
    "optimizers": ("nascence bench optimizers --families quadratic,yardstick --tasks 2",),
}


class Commands(TyperGroup):
    """All commands; their help ends on how to give options by the environment."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.epilog = VARIABLES

    def get_params(self, ctx: Any) -> list[Any]:
        """The options, those of completion included, which are added late."""
        _without_variables(self.params)
        return super().get_params(ctx)


class Command(TyperCommand):
    """A command whose help has groups of options and examples, and little else."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        name = str(self.name)
        panels = {
            parameter: panel
            for panel, parameters in PANELS.get(name, {}).items()
            for parameter in parameters.split()
        }
        for option in _without_variables(self.params):
            option.rich_help_panel = panels.get(str(option.name), option.rich_help_panel)
        self.epilog = "\n\n".join(("Examples:", *EXAMPLES.get(name, ())))


def _without_variables(parameters: list[Any]) -> list[TyperOption]:
    """The options among parameters, which no longer show their variables."""
    options = [each for each in parameters if isinstance(each, TyperOption)]
    for option in options:
        option.show_envvar = False
    return options
