"""ONNX files of networks in training form: ours beside onnxsim, onnxslim, onnxscript, ONNX Runtime.

    python -m benchmarks.folding.onnx_peers --out peers
    python -m benchmarks.folding.onnx_peers --out peers --networks timm/repvgg_a0 --passes 40

Needs timm, onnxsim, onnxslim and, for names yolo/*, ultralytics. Weights are random and BatchNorms
have random statistics; torch exports each network with its BatchNorms, for any batch size. Each
optimiser writes a file, whose nodes are counted and which is run in ONNX Runtime on one thread with
all of its own optimisations. ONNX Runtime as a peer is the source file itself: what its highest
level makes of it is counted. All files take turns. What is done is kept in the folder.
"""

import argparse
import json
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from benchmarks import ledger
from nascence.folding import fold_onnx
from nascence.models.zoo import zoo
from nascence.onnx_files import open_session, read_onnx, write_onnx
from nascence.onnx_files.costs import all_nodes

NETWORKS = (
    *("timm/repvgg_a0", "timm/mobileone_s0", "timm/repvit_m1", "timm/fastvit_t8"),
    *("timm/ghostnetv3_100", "yolo/yolov8n-cls", "yolo/yolo11n-cls", "timm/resnet50"),
    *("timm/mobilenetv2_100", "timm/repghostnet_100", "timm/vit_tiny_patch16_224"),
)
FORMS = ("ours", "onnxsim", "onnxslim", "onnxscript", "ONNX Runtime")


def network(name: str) -> nn.Module:
    """The network ``library/name`` in evaluation mode, its statistics random."""
    library, _, own = name.partition("/")
    torch.manual_seed(0)
    timm = zoo("timm")
    model: Any
    if library == "timm":
        model = timm.create_model(own, pretrained=False, exportable=True)
    else:
        from ultralytics.nn.tasks import ClassificationModel

        model = ClassificationModel(f"{own}.yaml", verbose=False)
        model.model[-1].export = True
    return randomised(model)


def randomised(model: nn.Module) -> nn.Module:
    """The model in evaluation mode, with other statistics than the first ones."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
            if layer.affine:
                nn.init.normal_(layer.weight, 1, 0.1)
                nn.init.normal_(layer.bias, 0, 0.1)
    return model.eval()


def exported_file(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    """Write a network as it is, BatchNorms included, for any batch size of ``x``."""
    options: dict[str, Any] = {"dynamo": False, "do_constant_folding": False}
    options |= {"training": torch.onnx.TrainingMode.PRESERVE, "opset_version": 17}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (x,),
            str(path),
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
            **options,
        )


def by_ours(source: Path, target: Path) -> None:
    write_onnx(target, fold_onnx(source, verify=False, repeats=0).model)


def by_onnxsim(source: Path, target: Path) -> None:
    import onnxsim

    model, _ = onnxsim.simplify(onnx.load(source), check_n=0)
    onnx.save(model, target)


def by_onnxslim(source: Path, target: Path) -> None:
    import onnxslim

    onnxslim.slim(str(source), str(target))


def by_onnxscript(source: Path, target: Path) -> None:
    import onnxscript.optimizer

    onnx.save(onnxscript.optimizer.optimize(onnx.load(source)), target)


def by_onnx_runtime(source: Path, target: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "ours": by_ours,
    "onnxsim": by_onnxsim,
    "onnxslim": by_onnxslim,
    "onnxscript": by_onnxscript,
    "ONNX Runtime": by_onnx_runtime,
}


def nodes_of(path: Path) -> tuple[int, int]:
    """Nodes of a file but constants, and BatchNorms."""
    kinds = Counter(node.op_type for node in all_nodes(onnx.load(path).graph))
    return kinds.total() - kinds["Constant"], kinds["BatchNormalization"]


def seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(name: str, folder: Path, passes: int) -> dict[str, Any]:
    """Every form of one network: nodes, BatchNorms, seconds to make and to run, relative error."""
    source = folder / f"{name.replace('/', '_')}.onnx"
    if not source.exists():
        exported_file(network(name), torch.randn(1, 3, 224, 224), source)
    x = {"images": np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    truth = open_session(source, optimise=False).run(None, x)[0]
    copy = folder / "copy.onnx"
    found: dict[str, Any] = {"network": name, "source": nodes_of(source)}
    found["read and write"] = seconds(lambda: write_onnx(copy, read_onnx(source)))
    runs = {}
    for form, make in MAKERS.items():
        target = source.with_name(f"{source.stem}.{form.replace(' ', '_')}.onnx")
        try:
            taken = seconds(lambda make=make, target=target: make(source, target))  # type: ignore[misc]
            session = open_session(source if form == "ONNX Runtime" else target)
            out = session.run(None, x)[0]
        except Exception as reason:  # a peer may fail in any way
            found[form] = {"failed": str(reason).splitlines()[0][:200]}
            continue
        error = float(np.linalg.norm(out - truth) / np.linalg.norm(truth))
        found[form] = {"nodes": nodes_of(target), "seconds": taken, "error": error}
        runs[form] = lambda session=session: session.run(None, x)
    times = ledger.in_turns(runs, passes, warm_up=3)
    for form, taken_each in times.items():
        found[form]["ms"] = 1e3 * statistics.median(taken_each)
        found[form]["least ms"] = 1e3 * min(taken_each)
    ours = np.array(times["ours"])
    for form in times:  # each pass beside the pass of the peer in the same turn
        found[form]["ratio"] = float(np.median(np.array(times[form]) / ours))
    return found


def run(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    lines = options.out / "measured.jsonl"
    done = {}
    if lines.exists():
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        done = {row["network"]: row for row in rows}
    for name in options.networks:
        if name in done and not options.again:
            continue
        print(name, flush=True)
        done[name] = measure(name, options.out, options.passes)
        with lines.open("a") as file:
            file.write(json.dumps(done[name]) + "\n")
    tables(options, [done[name] for name in options.networks if name in done])


def cell(row: dict[str, Any], form: str, key: str, digits: str) -> str:
    return format(row[form][key], digits) if key in row[form] else "failed"


def tables(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    with ledger.Report(options) as report:
        table = report.table(
            "Nodes, and BatchNorms among them, that each leaves",
            "network",
            "source",
            *((form, "", "lower") for form in FORMS),
        )
        for row in rows:
            shown = [f"{row['source'][0]} ({row['source'][1]})"]
            for form in FORMS:
                made = row[form].get("nodes")
                shown.append(f"{made[0]} ({made[1]})" if made else "failed")
            table.row(row["network"], *shown)
        table = report.table(
            "Speed of the folded file over that of each peer, median over turns of one thread",
            "network",
            ("ours", "CPU-ms", "lower"),
            *((f"over {form}", "times", "higher") for form in FORMS[1:]),
            ("over the best", "times", "higher"),
        )
        for row in rows:
            best = min(row[form]["ratio"] for form in FORMS[1:] if "ratio" in row[form])
            ratios = [cell(row, form, "ratio", ".2f") for form in FORMS[1:]]
            table.row(row["network"], cell(row, "ours", "ms", ".1f"), *ratios, f"{best:.2f}")
        table = report.table(
            "Time to make the file, and its relative error",
            "network",
            ("read and write", "CPU-s", ""),
            *((form, "CPU-s", "lower") for form in FORMS),
            ("error of ours", "", "lower"),
        )
        for row in rows:
            taken = [cell(row, form, "seconds", ".2f") for form in FORMS]
            error = cell(row, "ours", "error", ".1e")
            table.row(row["network"], f"{row['read and write']:.2f}", *taken, error)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is done")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--passes", type=int, default=25)
    parser.add_argument("--again", action="store_true", help="measure what is done again")
    run(ledger.parse(parser, words))


if __name__ == "__main__":
    main()
