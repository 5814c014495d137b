"""Every network of timm as an ONNX file, folded: BatchNorms and nodes left, and the error.

    python -m benchmarks.folding.onnx_zoo --out zoo --seconds 3600
    python -m benchmarks.folding.onnx_zoo --out zoo --table

Networks are taken in an order that mixes the families, so that whatever is done when the time ends
is a sample of all; the same command goes on. Weights are random, BatchNorms have random statistics,
and the input is of the default size. Each is exported with its BatchNorms, folded, and run in ONNX
Runtime before and after. Beside it stands what timm's own function for fusing branches leaves in
the module, and its error. Networks of more parameters than ``--most`` are named and passed over.
"""

import argparse
import copy
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import ledger
from benchmarks.folding.onnx_peers import by_onnx_runtime, exported_file, nodes_of, randomised
from nascence.folding import fold_onnx
from nascence.models.zoo import zoo
from nascence.onnx_files import open_session, write_onnx
from nascence.reparam import count_norms
from nascence.reparam.verification import relative_error


def names() -> list[str]:
    """All names of timm, mixed."""
    listed = zoo("timm").list_models()
    return sorted(listed, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def parameters_of(name: str) -> int:
    """Parameters of a network, which is not filled."""
    with torch.device("meta"):
        model = zoo("timm").create_model(name, pretrained=False)
    return sum(value.numel() for value in model.parameters())


def by_timm(model: nn.Module, x: torch.Tensor) -> dict[str, Any]:
    """What timm's own function leaves of BatchNorms, and its error."""
    from timm.utils.model import reparameterize_model

    with torch.no_grad():
        truth = model(x)
        try:
            fused = reparameterize_model(copy.deepcopy(model)).eval()
            return {
                "norms": [count_norms(model, x), count_norms(fused, x)],
                "error": relative_error(fused(x), truth),
            }
        except Exception as reason:  # whatever a network raises
            return {"failed": f"{type(reason).__name__}: {str(reason)[:150]}"}


def measure(name: str, folder: Path) -> dict[str, Any]:
    """One network: exported, folded, run."""
    torch.manual_seed(0)
    model: Any = zoo("timm").create_model(name, pretrained=False, exportable=True)
    model = randomised(model)
    x = torch.randn(1, *model.default_cfg["input_size"])
    found: dict[str, Any] = {"network": name, "timm": by_timm(model, x)}
    source, target = folder / "source.onnx", folder / "folded.onnx"
    exported_file(model, x, source)
    started = time.process_time()
    folded, report = fold_onnx(source, verify=False, repeats=0)
    found["seconds"] = time.process_time() - started
    write_onnx(target, folded)
    inputs = {"images": x.numpy()}
    truth = open_session(source).run(None, inputs)[0]
    mine = open_session(target).run(None, inputs)[0]
    found["error"] = float(np.linalg.norm(mine - truth) / np.linalg.norm(truth))
    found["source"], found["ours"] = nodes_of(source), nodes_of(target)
    by_onnx_runtime(source, target)
    found["runtime"] = nodes_of(target)
    found["reasons"] = sorted({refusal.reason for refusal in report.left})[:5]
    return found


def attempt(name: str, folder: Path, most: float) -> dict[str, Any]:
    """``measure``, or why there is nothing to measure."""
    try:
        count = parameters_of(name)
        if count > most:
            return {"network": name, "large": count}
        return measure(name, folder)
    except Exception as reason:  # whatever a constructor, an exporter or a runtime raises
        line = next(iter(str(reason).splitlines()), "")
        return {"network": name, "failed": f"{type(reason).__name__}: {line[:150]}"}


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Go on with what is left of the names until the time ends."""
    options.out.mkdir(parents=True, exist_ok=True)
    lines, ends = options.out / "measured.jsonl", time.monotonic() + options.seconds
    rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    done = {row["network"] for row in rows}
    for name in [] if options.table else names():
        if time.monotonic() > ends:
            break
        if name in done:
            continue
        rows.append(attempt(name, options.out, options.most))
        print(rows[-1], flush=True)
        with lines.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return rows


def tables(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    measured = [row for row in rows if "ours" in row]
    norms = [sum(row[form][1] for row in measured) for form in ("source", "ours")]
    nodes = [sum(row[form][0] for row in measured) for form in ("source", "ours", "runtime")]
    known = [row["timm"] for row in measured if "norms" in row["timm"]]
    theirs = [sum(each["norms"][side] for each in known) for side in (0, 1)]
    with ledger.Report(options) as report:
        report.table(
            "Networks of timm, exported in training form and folded as ONNX",
            "names",
            "tried",
            "measured",
            "too large for this run",
            "not built, exported or run",
            ("relative error above 0.0001", "", "lower"),
            ("largest relative error", "", "lower"),
        ).row(
            len(names()),
            len(rows),
            len(measured),
            sum("large" in row for row in rows),
            sum("failed" in row for row in rows),
            sum(not row["error"] < 1e-4 for row in measured),
            f"{max((row['error'] for row in measured), default=0):.1e}",
        )
        table = report.table(
            "BatchNorms and nodes of all that were measured",
            "form",
            ("BatchNorms left", "", "lower"),
            ("nodes left", "", "lower"),
        )
        table.row("source", norms[0], nodes[0])
        table.row("folded", norms[1], nodes[1])
        table.row("ONNX Runtime, highest level, of the source", "", nodes[2])
        table.row("timm's own function, in the module", f"{theirs[1]} of {theirs[0]}", "")
        table = report.table(
            "Networks whose blocks timm's own function leaves or gets wrong, and ours does not",
            "network",
            "BatchNorms",
            ("timm leaves", "", "lower"),
            ("ours leaves", "", "lower"),
            ("timm's error", "", "lower"),
        )
        for row in measured:
            own = row["timm"]
            wrong = "error" in own and not own["error"] < 1e-3
            left = "norms" in own and own["norms"][1] > row["ours"][1] and row["source"][1] > 0
            if wrong or left:
                error = f"{own['error']:.1e}"
                table.row(row["network"], own["norms"][0], own["norms"][1], row["ours"][1], error)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is done")
    parser.add_argument("--seconds", type=float, default=3600, help="time after which to stop")
    parser.add_argument("--most", type=float, default=2e9, help="parameters of the largest network")
    parser.add_argument("--table", action="store_true", help="only show what is done")
    options = ledger.parse(parser, words)
    tables(options, run(options))


if __name__ == "__main__":
    main()
