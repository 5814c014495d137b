"""`nascence design` on real photos, judged on photos that nothing has seen, beside usual peers.

    python -m benchmarks.design.photos --photos photo-sets --sets signs tiles --budget 3m
    python -m benchmarks.design.photos --photos photo-sets --only design --seeds 0 1 2 --budget 5m

The sets are those of `benchmarks.design.photo_sets`. The exported network is run by onnxruntime and
Pillow alone, as its metadata say. The peers are ResNet-18 at 64 pixels with AdamW for as long as
the budget, and histograms of gradients and colours with a support vector machine (pip install
scikit-learn scikit-image). Finished parts are read, not repeated. One thread each; give `taskset`
before the command for one core.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.nn import functional

from benchmarks import ledger
from benchmarks.design.photo_sets import SETS
from nascence.core.durations import parse_duration
from nascence.data import load
from nascence.models import resnet18

SIDE, BATCH, RATE = 64, 32, 1e-3
COLUMNS: tuple[ledger.Column, ...] = (
    "set",
    "method",
    "seed",
    ("accuracy", "% of the test photos", "higher"),
    ("mean recall", "% of a class", "higher"),
    ("wall", "s", "lower"),
    ("CPU", "s of one thread", "lower"),
    ("peak memory", "MB", "lower"),
    "said first",
)
Arrays = tuple[NDArray[Any], list[str]]


def test_photos(folder: Path) -> tuple[list[Image.Image], list[str]]:
    """The photos held out, upright and in colour, and their classes."""
    photos, classes = [], []
    for path in sorted(folder.glob("*/*")):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        image.thumbnail((1024, 1024))  # a photo of 40 megapixels need not be kept
        photos.append(image)
        classes.append(path.parent.name.replace("+", "/"))
    return photos, classes


def framed(photo: Image.Image, side: int, framing: str) -> Image.Image:
    """A photo as the metadata of an exported network ask for it."""
    if framing == "pad":
        scale = max(photo.size) / side
        inner = max(round(photo.width / scale), 1), max(round(photo.height / scale), 1)
        canvas = Image.new(photo.mode, (side, side))
        small = photo.resize(inner, Image.Resampling.BICUBIC, reducing_gap=2.0)
        canvas.paste(small, ((side - inner[0]) // 2, (side - inner[1]) // 2))
        return canvas
    box = None
    if framing == "crop":
        edge = min(photo.size)
        left, top = (photo.width - edge) / 2, (photo.height - edge) / 2
        box = (left, top, left + edge, top + edge)
    return photo.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def exported(model: Path, photos: list[Image.Image]) -> list[str]:
    """What the exported network takes photos for, by onnxruntime alone."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    names = json.loads(about["classes"])
    side = int(about["input_size"].split("x")[0])
    mode = "L" if about["input_colours"] == "grey" else "RGB"
    found = []
    for photo in photos:
        pixels = np.asarray(framed(photo.convert(mode), side, about["input_framing"]), np.float32)
        pixels = pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)
        (logits,) = session.run(["logits"], {"images": pixels[None] / 255})
        found.append(names[int(logits.argmax())])
    return found


def figures(found: list[str], truth: list[str]) -> dict[str, float]:
    """Accuracy and mean recall in percent."""
    right = np.array([one == two for one, two in zip(found, truth, strict=True)])
    labels = np.array(truth)
    recalls = [right[labels == name].mean() for name in np.unique(labels)]
    return {"accuracy": 100 * float(right.mean()), "recall": 100 * float(np.mean(recalls))}


def designed(options: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """One run of the command, as a user would give it."""
    out = options.out / f"{name}-{options.budget}-{seed}"
    words = [sys.executable, "-m", "nascence.cli", "design", str(options.photos / name / "photos")]
    words += ["--budget", options.budget, "--seed", str(seed), "--out", str(out), "--json", "-q"]
    if SETS[name].depth > 1:
        words += ["--label-depth", str(SETS[name].depth)]
    started = time.monotonic()
    process = subprocess.Popen(
        [*words, *options.options.split()], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    summary = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"design ended with {status}")
    wall = time.monotonic() - started
    photos, truth = test_photos(options.photos / name / "test")
    return {
        **figures(exported(out / "model.onnx", photos), truth),
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1024,
        "said": summary["warning"],
    }


def in_a_process(options: argparse.Namespace, name: str, seed: int, method: str) -> dict[str, Any]:
    """A peer in a process of its own, whose memory is then its own as well."""
    words = [sys.executable, "-m", "benchmarks.design.photos", "--photos", str(options.photos)]
    words += ["--sets", name, "--seeds", str(seed), "--budget", options.budget, "--peer", method]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def arrays(options: argparse.Namespace, name: str) -> tuple[Any, NDArray[Any], list[str]]:
    """Training photos at 64 pixels, and the test photos as uint8 ``(N, 3, 64, 64)``."""
    depth = SETS[name].depth
    data = load(
        options.photos / name / "photos",
        size=SIDE,
        framing="squash",
        label_depth=depth if depth > 1 else None,
        cache=False,
    )
    photos, truth = test_photos(options.photos / name / "test")
    mode = "L" if data.image_shape[0] == 1 else "RGB"
    pixels = [np.asarray(framed(each.convert(mode), SIDE, "squash")) for each in photos]
    stacked = np.stack([p[None] if mode == "L" else p.transpose(2, 0, 1) for p in pixels])
    return data, stacked, truth


def residual(options: argparse.Namespace, name: str, seed: int) -> list[str]:
    """ResNet-18 at 64 pixels, AdamW, cosine decay, flips, for as long as the budget."""
    ends = time.monotonic() + parse_duration(options.budget)
    begun = time.monotonic()
    data, photos, _ = arrays(options, name)
    torch.manual_seed(seed)
    model = resnet18(classes=data.classes, in_channels=data.image_shape[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    images = torch.cat([data.train.images, data.validation.images])
    labels = torch.cat([data.train.labels, data.validation.labels])
    while (left := ends - time.monotonic()) > 0:
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - np.cos(np.pi * left / (ends - begun))) / 2
        chosen = torch.randint(len(images), (BATCH,))
        batch = images[chosen]
        batch = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, batch, batch.flip(-1))
        loss = functional.cross_entropy(model(data.normalise(batch)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        parts = torch.from_numpy(photos).split(256)
        found = torch.cat([model(data.normalise(part)).argmax(1) for part in parts])
    return [data.class_names[index] for index in found.tolist()]


def vectors(options: argparse.Namespace, name: str, seed: int) -> list[str]:
    """Histograms of oriented gradients and colours, and a support vector machine."""
    from skimage.feature import hog
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    data, photos, _ = arrays(options, name)

    def described(images: NDArray[Any]) -> NDArray[Any]:
        rows = []
        for image in images:
            grey = image.mean(0)
            small = image.reshape(len(image), 8, 8, 8, 8).mean((2, 4)).ravel() / 255
            rows.append(np.concatenate([hog(grey, 9, (8, 8), (2, 2)), small]))
        return np.stack(rows)

    images = np.concatenate([data.train.images.numpy(), data.validation.images.numpy()])
    labels = np.concatenate([data.train.labels.numpy(), data.validation.labels.numpy()])
    machine = make_pipeline(StandardScaler(), SVC(C=10.0, random_state=seed))
    machine.fit(described(images), labels)
    return [data.class_names[index] for index in machine.predict(described(photos))]


PEERS: dict[str, Callable[[argparse.Namespace, str, int], list[str]]] = {
    "ResNet-18, 64 px, AdamW": residual,
    "HOG, colours, SVM": vectors,
}


def peer(options: argparse.Namespace) -> None:
    """Print the figures of one peer as a line of JSON."""
    (name,), (seed,), started = options.sets, options.seeds, time.monotonic()
    found = PEERS[options.peer](options, name, seed)
    wall, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    _, truth = test_photos(options.photos / name / "test")
    row = {**figures(found, truth), "wall": wall, "cpu": used.ru_utime + used.ru_stime}
    print(json.dumps({**row, "memory": used.ru_maxrss / 1024, "said": ""}))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="what photo_sets made")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--out", type=Path, default=Path("runs/photos"))
    parser.add_argument("--options", default="", help="further options of design")
    parser.add_argument("--only", choices=["design", "peers"])
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = ledger.parse(parser, words)
    if options.peer:
        return peer(options)
    parts = ledger.Parts(options.out / "parts.jsonl")
    with ledger.Report(options) as report:
        table = report.table("Photos held out", *COLUMNS)
        for name in options.sets:
            for seed in options.seeds:
                made: dict[str, Callable[[], dict[str, Any]]] = {}
                if options.only != "peers":
                    made["nascence design"] = partial(designed, options, name, seed)
                if options.only != "design":
                    for method in PEERS:
                        made[method] = partial(in_a_process, options, name, seed, method)
                for method, make in made.items():
                    row = parts.get(f"{name}, {method}, {options.budget}, {seed}", make)
                    table.row(
                        name,
                        method,
                        seed,
                        f"{row['accuracy']:.1f}",
                        f"{row['recall']:.1f}",
                        f"{row['wall']:.0f}",
                        f"{row['cpu']:.0f}",
                        f"{row['memory']:.0f}",
                        row["said"],
                    )


if __name__ == "__main__":
    main()
