"""BatchNorms left by folding, over networks of timm and torchvision, beside timm's own function.

    python -m benchmarks.reparam.zoo --out zoo.jsonl
    python -m benchmarks.reparam.zoo --out zoo.jsonl --table

Weights are random and BatchNorms have random statistics. Counted are the BatchNorms that one
forward pass runs. Each network is one line of the output file and is not repeated.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import ledger
from nascence.reparam import count_norms, fold_with_report

TIMM = [
    "fastvit_t8",
    "fastvit_sa12",
    "repghostnet_050",
    "repghostnet_100",
    "mobileone_s0",
    "mobileone_s1",
    "mobileone_s4",
    "repvgg_a0",
    "repvgg_b0",
    "repvit_m0_9",
    "repvit_m1",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv3_small_050",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "efficientnet_b0",
    "tf_efficientnet_b0",
    "efficientnetv2_rw_t",
    "mixnet_s",
    "mnasnet_small",
    "fbnetc_100",
    "spnasnet_100",
    "ghostnet_050",
    "ghostnetv2_100",
    "hardcorenas_a",
    "lcnet_050",
    "tinynet_e",
    "semnasnet_075",
    "resnet18",
    "resnet50",
    "resnet26d",
    "resnet50d",
    "resnext50_32x4d",
    "seresnet18",
    "skresnet18",
    "ecaresnet26t",
    "wide_resnet50_2",
    "res2net50_14w_8s",
    "resnest14d",
    "resnetv2_50",
    "regnetx_002",
    "regnety_002",
    "regnetz_b16",
    "densenet121",
    "dla34",
    "dpn48b",
    "vgg11_bn",
    "inception_v3",
    "inception_v4",
    "xception41",
    "hrnet_w18_small",
    "selecsls42b",
    "cspresnet50",
    "cspdarknet53",
    "darknet53",
    "vovnet39a",
    "ese_vovnet19b_dw",
    "levit_128s",
    "levit_conv_128s",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "edgenext_xx_small",
    "efficientvit_b0",
    "efficientvit_m0",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "convmixer_768_32",
    "coatnet_0_rw_224",
    "gernet_s",
    "nf_regnet_b0",
    "repghostnet_200",
    "starnet_s1",
    "tiny_vit_5m_224",
    "convit_tiny",
    "botnet26t_256",
    "halonet26t",
    "fasternet_t0",
    "swiftformer_xs",
    "shvit_s1",
    "mambaout_femto",
]
TORCHVISION = [
    "googlenet",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "mnasnet0_5",
    "resnet34",
    "regnet_y_400mf",
    "efficientnet_v2_s",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "densenet169",
    "vgg16_bn",
]


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Other statistics and weights than the first ones for every BatchNorm."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            shape = layer.running_mean.shape
            layer.running_mean.copy_(0.2 * torch.randn(shape, generator=generator))
            assert layer.running_var is not None
            layer.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
            if layer.affine:
                layer.weight.data.copy_(1 + 0.1 * torch.randn(shape, generator=generator))
                layer.bias.data.copy_(0.2 * torch.randn(shape, generator=generator))
    return model.eval()


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The network ``library/name`` and an example input of the smallest size that it takes."""
    library, _, model_name = name.partition("/")
    torch.manual_seed(0)
    model: Any
    if library == "timm":
        import timm

        model = timm.create_model(model_name, pretrained=False)
        settings = model.default_cfg
        size = settings["input_size"][-1] if settings.get("fixed_input_size") else 128
    else:
        from torchvision import models

        extra = {"init_weights": False, "aux_logits": False} if model_name == "googlenet" else {}
        model, size = models.get_model(model_name, weights=None, **extra), 128
    generator = torch.Generator().manual_seed(1)
    return randomise(model, 0), torch.randn(1, 3, size, size, generator=generator)


def measure(name: str) -> dict[str, Any]:
    from timm.utils.model import reparameterize_model

    model, x = build(name)
    start = time.perf_counter()
    _, report = fold_with_report(model, x, repeats=0)
    seconds = time.perf_counter() - start
    try:
        theirs = count_norms(reparameterize_model(model), x)
    except Exception as error:  # a peer's failure is a result
        theirs = None
        print(f"{name}: timm: {type(error).__name__}: {error}")
    return {
        "network": name,
        "before": report.before.batch_norms,
        "timm": theirs,
        "left": report.after.batch_norms,
        "kernels": [report.before.kernels, report.after.kernels],
        "parameters": [report.before.parameters, report.after.parameters],
        "macs": [report.before.macs, report.after.macs],
        "error": report.error,
        "error_float32": report.error_in_dtype,
        "original_float32": report.original_in_dtype,
        "notes": list(report.notes),
        "seconds": round(seconds, 1),
    }


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    with ledger.Report(options) as report:
        table = report.table(
            "BatchNorms of each network",
            "network",
            "before folding",
            ("left by timm", "", "lower"),
            ("left by nascence", "", "lower"),
            "kernels before and after",
            ("error in float32", "relative", "lower"),
        )
        for row in rows:
            kernels = " -> ".join(str(count) for count in row["kernels"])
            error = f"{row['error_float32']:.1e}"
            table.row(row["network"], row["before"], row["timm"], row["left"], kernels, error)
        total = sum(row["before"] for row in rows)
        both = report.table(
            f"All {len(rows)} networks, with {total} BatchNorms; largest error in float64 "
            f"{max(row['error'] or 0 for row in rows):.1e}",
            "folded by",
            ("BatchNorms left", "", "lower"),
            ("mean share left", "%", "lower"),
        )
        for name, key in (("timm", "timm"), ("nascence", "left")):
            known = [row for row in rows if row[key] is not None]
            share = 100 * sum(row[key] / row["before"] for row in known) / len(known)
            left = sum(row["before"] if row[key] is None else row[key] for row in rows)
            both.row(name, left, f"{share:.1f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    options = ledger.parse(parser, words)
    rows = ledger.read_rows(options.out)
    if options.table:
        report(options, [row for row in rows if row.get("before")])
        return
    ledger.torchvision_operators()
    done = {row["network"] for row in rows}
    for name in [f"timm/{n}" for n in TIMM] + [f"torchvision/{n}" for n in TORCHVISION]:
        if name in done:
            continue
        try:
            row = measure(name)
        except Exception as error:  # a network that does not build or run is noted, not hidden
            row = {"network": name, "failed": f"{type(error).__name__}: {str(error)[:200]}"}
        ledger.keep_row(options.out, row)
        print(row.get("failed") or f"{name}: {row['before']} -> {row['left']} (timm {row['timm']})")


if __name__ == "__main__":
    main()
