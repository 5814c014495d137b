"""Traces the classification models of torchvision and names of timm; prints what fails and why.

    python -m benchmarks.graph.trace_zoo --timm 400

Models are built on the meta device where their constructors allow it, so that the largest cost
no memory. timm's names are taken round robin over its families, so that each family has one.
"""

import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn

from benchmarks import ledger
from nascence.graph import Graph, GraphError, trace
from nascence.hypernet import GHN

Builder = Callable[[], nn.Module]
COLUMNS = (
    "zoo",
    ("traced", "networks", "higher"),
    "tried",
    ("median time", "CPU-ms", "lower"),
    "also predicted",
)


def torchvision_models() -> Iterator[tuple[str, Builder, tuple[int, ...]]]:
    ledger.torchvision_operators()
    import torchvision

    for name in torchvision.models.list_models(module=torchvision.models):
        size = 299 if name == "inception_v3" else 224
        settings = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}

        def build(name: str = name, settings: dict[str, bool] = settings) -> nn.Module:
            return torchvision.models.get_model(name, weights=None, **settings)

        yield name, build, (1, 3, size, size)


def timm_models(count: int) -> Iterator[tuple[str, Builder, tuple[int, ...]]]:
    import timm
    from timm.models import get_pretrained_cfg
    from timm.models._registry import _model_to_module

    families: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        families[_model_to_module[name]].append(name)
    chosen: list[str] = []
    depth = 0
    while len(chosen) < count and depth < max(map(len, families.values())):
        for names in families.values():
            if depth < len(names):
                chosen.append(names[depth])
        depth += 1
    print(f"timm {timm.__version__}: {len(families)} families, {len(chosen)} names")
    for name in chosen:
        configuration = get_pretrained_cfg(name)
        shape = configuration.input_size if configuration else (3, 224, 224)

        def build(name: str = name) -> nn.Module:
            return timm.create_model(name)

        yield name, build, (1, *shape)


def built(build: Builder) -> nn.Module:
    try:
        with torch.device("meta"):
            return build()
    except Exception:
        return build()


@torch.no_grad()
def misfits(ghn: GHN, graph: Graph, model: nn.Module) -> list[str]:
    """Parameters whose prediction has another shape or is not finite."""
    params = ghn([graph])[0]
    return [
        name
        for name, value in model.named_parameters()
        if params[name].shape != value.shape or not torch.isfinite(params[name]).all()
    ]


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--timm", type=int, default=400, help="how many names of timm")
    parser.add_argument(
        "--predict", action="store_true", help="also predict models of at most 60 M parameters"
    )
    arguments = ledger.parse(parser, words)
    ghn = GHN.ghn2(classes=1000, max_shape=(64, 64, 16, 16)).eval()
    warnings.filterwarnings("ignore")
    zoos = {"torchvision": torchvision_models(), "timm": timm_models(arguments.timm)}
    with ledger.Report(arguments) as report:
        table = report.table("Networks that were traced with all of their parameters", *COLUMNS)
        failures = {}
        for zoo, models in zoos.items():
            failures[zoo] = visit(table, zoo, models, ghn if arguments.predict else None)
        failed = report.table("What failed", "zoo", "network", "why")
        for zoo, found in failures.items():
            for name, reason in found:
                failed.row(zoo, name, reason)


def visit(
    table: ledger.Table,
    zoo: str,
    models: Iterable[tuple[str, Builder, tuple[int, ...]]],
    ghn: GHN | None,
) -> list[tuple[str, str]]:
    """Trace the networks of a zoo; names and reasons of those that fail."""
    times: list[float] = []
    failures: list[tuple[str, str]] = []
    total = predicted = 0
    for name, build, shape in models:
        total += 1
        try:
            model = built(build)
        except Exception as error:
            failures.append((name, f"does not build: {str(error)[:150]}"))
            continue
        parameters = {key for key, _ in model.named_parameters()}
        device = next(model.parameters()).device
        start = time.process_time()
        try:
            graph = trace(model, torch.empty(shape, device=device))
        except GraphError as error:
            failures.append((name, str(error)[:240]))
            continue
        times.append(time.process_time() - start)
        if {parameter.name for parameter in graph.parameters} != parameters:
            failures.append((name, "parameters differ"))
        if ghn is not None and graph.parameter_count <= 60_000_000:
            predicted += 1
            if wrong := misfits(ghn, graph, model):
                failures.append((name, f"predicted without shape or value: {wrong[:3]}"))
    median = f"{1000 * statistics.median(times):.0f}"
    table.row(zoo, total - len(failures), total, median, None if ghn is None else predicted)
    return failures


if __name__ == "__main__":
    main()
