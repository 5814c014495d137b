"""Kind 9, files of every kind that is read, damaged at random."""

import io
import pickle
import random
import shutil
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import nascence as nc
from benchmarks.reliability.runs import data
from benchmarks.reliability.trying import Try, WrongError, allowing, command, succeeds

WAYS = ("cut", "bits", "zeros", "noise", "empty", "twice", "text", "pickle", "first bytes")


class Exploit:
    """What an unpickled file would do: write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.target), "w")


def damaged(content: bytes, way: str, rng: random.Random, exploit: Path) -> bytes:
    """Content after one of `WAYS`."""
    changed = bytearray(content)
    length = len(changed)
    if way == "cut":
        del changed[rng.randrange(1, length) :]
    elif way == "bits":
        for _ in range(rng.randint(1, 20)):
            changed[rng.randrange(length)] ^= 1 << rng.randrange(8)
    elif way == "zeros":
        start = rng.randrange(length)
        changed[start : start + 64] = bytes(len(changed[start : start + 64]))
    elif way == "noise":
        changed = bytearray(rng.randbytes(length))
    elif way == "empty":
        changed = bytearray()
    elif way == "twice":
        changed = changed + changed
    elif way == "text":
        changed = bytearray(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    elif way == "pickle":
        changed = bytearray(pickle.dumps(Exploit(exploit)))
    elif way == "first bytes":
        changed[:8] = rng.randbytes(8)
    return bytes(changed)


def parquet_file() -> bytes:
    cells = [{"bytes": image_file(), "path": None} for _ in range(20)]
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"image": cells, "label": [number % 2 for number in range(20)]}), buffer
    )
    return buffer.getvalue()


def image_file() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 77, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def npz_file() -> bytes:
    buffer = io.BytesIO()
    images = np.arange(20 * 192, dtype=np.uint8).reshape(20, 8, 8, 3)
    np.savez(buffer, images=images, labels=np.arange(20) % 2)
    return buffer.getvalue()


def idx_file() -> bytes:
    return struct.pack(">IIII", 0x803, 20, 8, 8) + bytes(range(256)) * 5


def cifar_file() -> bytes:
    rng = np.random.default_rng(0)
    return b"".join(bytes([n % 10]) + rng.bytes(3072) for n in range(20))


def loaded(folder: Path, name: str, content: bytes, beside: dict[str, bytes], mark: Path) -> None:
    """A data set is read or refused in a line; nothing in it is run."""
    folder.mkdir()
    for place, text in {**beside, name: content}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(text)
    source = folder / name if name.endswith((".npz", ".parquet")) else folder
    found, _ = allowing(lambda: nc.data.load(source, size=8, cache=False, workers=1))
    if mark.exists():
        raise WrongError("a file was unpickled")
    if found is not None and not len(found.train):
        raise WrongError("a data set without images")


def of_a_run(source: Path, folder: Path, relative: Path, way: str, rng: random.Random) -> None:
    """A run with a damaged file goes on or is refused in a line."""
    shutil.copytree(source, folder)
    mark = folder.parent / f"{folder.name}.mark"
    path = folder / relative
    path.write_bytes(damaged(path.read_bytes(), way, rng, mark))
    words = ["resume", folder]
    if (folder / "study.journal").exists():
        words = ["search", "nb201", "--budget", 25, "--out", folder, "-q"]
    ended = command(*words)
    if mark.exists():
        raise WrongError("a file was unpickled")
    if ended.code != 0 and len(ended.err.strip().splitlines()) != 1:
        raise WrongError(f"exit {ended.code} without a line: {ended.err[:200]!r}")


def weights(path: Path, content: bytes, mark: Path) -> None:
    """``fold`` and ``predict`` refuse a damaged file of weights in a line, or take it."""
    path.write_bytes(content)
    commands: list[list[object]] = [
        ["fold", path, "--architecture", "resnet20", "--shape", "1,3,8,8"]
    ]
    if path.suffix == ".safetensors":
        commands.append(["predict", "resnet20", "--size", 8, "--images", 20, "--weights", path])
    for words in commands:
        ended = command(*words)
        if mark.exists():
            raise WrongError("a file was unpickled")
        if ended.code != 0 and len(ended.err.strip().splitlines()) != 1:
            raise WrongError(f"exit {ended.code} without a line: {ended.err[:200]!r}")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    image = image_file()
    classes = {f"{label}/{n}.png": image for label in "ab" for n in range(10)}
    labels = struct.pack(">II", 0x801, 20) + bytes(n % 2 for n in range(20))
    files = {
        "data.npz": (npz_file(), {}),
        "data.parquet": (parquet_file(), {}),
        "a/0.png": (image, classes),
        "data_batch_1.bin": (cifar_file(), {}),
        "train-images-idx3-ubyte": (idx_file(), {"train-labels-idx1-ubyte": labels}),
    }
    for name, (content, beside) in files.items():
        for way in WAYS:
            mark = folder / f"mark {name.replace('/', ' ')} {way}"
            place = folder / f"data {name.replace('/', ' ')} {way}"
            changed = damaged(content, way, rng, mark)
            yield Try(
                f"{name}, {way}",
                partial(loaded, place, name, changed, beside, mark),
            )
    study, run = folder / "study", folder / "run"
    succeeds("search", "nb201", "--budget", 20, "--out", study, "-q")
    succeeds(
        "design", data(folder), "--size", 8, "--trials", 2, "--steps", 4, "--no-baseline", "-q",
        "--checkpoint-seconds", 0.01, "--out", run,
    )  # fmt: skip
    kept = sorted(each for each in run.rglob("*") if each.is_file())
    for number in range(18):
        source, path = (run, rng.choice(kept)) if number % 3 else (study, study / "study.journal")
        relative, way = path.relative_to(source), rng.choice(WAYS)
        yield Try(
            f"{relative} of a {source.name}, {way}",
            partial(of_a_run, source, folder / f"r{number}", relative, way, rng),
        )
    good = folder / "good.safetensors"
    succeeds(
        "predict", "resnet20", "--data", data(folder), "--size", 8, "--images", 20, "--out", good
    )
    for number, way in enumerate(WAYS):
        suffix = rng.choice(("safetensors", "safetensors", "pth"))
        mark = folder / f"weights mark {number}"
        path = folder / f"weights{number}.{suffix}"
        changed = damaged(good.read_bytes(), way, rng, mark)
        yield Try(f"weights as .{suffix}, {way}", partial(weights, path, changed, mark))
