"""What `nascence classify` takes, beside a program with nothing but Pillow and ONNX Runtime.

    python -m benchmarks.inference.classify_time runs/first --images 1000 --rounds 5

Both are whole processes that read the same JPEG files, take turns, and answer alike. The second one
is that of docs/use.md, with 64 images in a batch.
"""

import csv
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import ledger

ALONE = """
import json, sys
from pathlib import Path
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
height, width = session.get_inputs()[0].shape[2:]

def pixels(path):
    image = Image.open(path)
    image.draft(None, (2 * max(width, height),) * 2)
    image = ImageOps.exif_transpose(image).convert("RGB")
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    image = image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    return np.asarray(image, np.float32).transpose(2, 0, 1) / 255

paths = sorted(Path(sys.argv[2]).iterdir())
print("image,class_1")
for start in range(0, len(paths), 64):
    block = paths[start : start + 64]
    logits = session.run(None, {"images": np.stack([pixels(path) for path in block])})[0]
    for path, row in zip(block, logits):
        print(f"{path},{names[row.argmax()]}")
"""


def make_images(folder: Path, count: int, width: int, height: int) -> None:
    """Photographs of a sort: smooth colours with grain, as JPEG."""
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = generator.normal(0, 8, (height, width, 1))
        values = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{number:05}.jpg", quality=90)


def run(command: Sequence[str], threads: int) -> tuple[float, float, dict[str, str]]:
    """CPU-seconds and seconds of a process, and the class of each image that it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = csv.DictReader(io.StringIO(done.stdout))
    return taken, wall, {row["image"]: row["class_1"] for row in rows}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("network", type=Path, help="folder of a finished run, or an ONNX file")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--rounds", type=int, default=5)
    options = ledger.parse(parser, words)
    onnx = options.network / "model.onnx" if options.network.is_dir() else options.network
    with ledger.Report(options) as report, tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder), options.images, options.width, options.height)
        ours = [sys.executable, "-m", "nascence.cli", "classify", str(onnx), folder]
        contenders = {
            "Pillow and ONNX Runtime alone": [sys.executable, "-c", ALONE, str(onnx), folder],
            "nascence classify": [*ours, "--csv", "--quiet", "--workers", "1"],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        answers = {}
        for number in range(options.rounds + 1):
            for name, command in contenders.items():
                taken, wall, answers[name] = run(command, 1)
                if number:  # the first reads the files from the disk
                    found[name].append((taken, wall))
        first, second = answers.values()
        alike = sum(first[image] == second[image] for image in first)
        base = statistics.median(taken for taken, _ in found["Pillow and ONNX Runtime alone"])
        table = report.table(
            f"{options.images:,} JPEG files of {options.width}x{options.height} pixels, one thread",
            "program",
            ("CPU-seconds, median", "s", "lower"),
            ("relative to the first", "", "lower"),
            ("seconds, least", "s", "lower"),
            ("answers like the first", "images", "higher"),
        )
        for name, rows in found.items():
            median = statistics.median(taken for taken, _ in rows)
            same = len(first) if name == "Pillow and ONNX Runtime alone" else alike
            least = min(wall for _, wall in rows)
            table.row(name, f"{median:.2f}", f"{median / base:.2f}", f"{least:.2f}", same)


if __name__ == "__main__":
    main()
