"""Damaged files of every kind that is read: each is read, or refused in one line."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nascence.data import DataError, accel_nasbench, load, nb201_latencies, read_table

RANDOM = np.random.default_rng(0)
LABELS = [0, 1] * 6
PIXELS = RANDOM.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def image(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(file, kind)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    about = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": [image("PNG")] * 12, "label": LABELS})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), file)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=PIXELS, labels=LABELS, class_names=["a", "b"])
    return file.getvalue()


def cifar(*, pickled: bool) -> bytes:
    rows = RANDOM.integers(0, 256, (4, 3072), dtype=np.uint8)
    if pickled:
        batch = pickle.dumps({b"data": rows, b"labels": [0, 1, 0, 1]}, protocol=2)
    else:
        batch = np.concatenate((np.array([[0], [1], [0], [1]], np.uint8), rows), 1).tobytes()
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for number in range(1, 6):
            about = tarfile.TarInfo(f"data_batch_{number}" + ("" if pickled else ".bin"))
            about.size = len(batch)
            archive.addfile(about, io.BytesIO(batch))
    return file.getvalue()


def unpacked(archive: bytes) -> bytes:
    return gzip.decompress(archive)


def idx() -> bytes:
    return struct.pack(">4B3I", 0, 0, 8, 3, 12, 8, 8) + PIXELS[..., 0].tobytes()


def latencies() -> bytes:
    lines = ["idx,raspi4", *(f"{row},{row / 7}" for row in range(15_625))]
    return "\n".join(lines).encode()


def table() -> bytes:
    return (files("nascence.data") / "tables" / "nasbench-macro.npz").read_bytes()


ACCEL = (
    b"arch_eklse,val_top1,val_top5,params,macs,latency_zcu102,latency_vck190,"
    b"throughput_zcu102,throughput_vck190,throughput_a100,throughput_3090,throughput_tpuv2,"
    b"throughput_tpuv3\n" + b"-".join([b"1311"] * 7) + b",1,2,3,4,5,6,7,8,9,10,11,12\n"
)
KINDS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "set.parquet": (parquet(), lambda path: load(path, cache=False)),
    "set.npz": (npz(), lambda path: load(path, cache=False)),
    "binary.tar.gz": (cifar(pickled=False), lambda path: load(path, cache=False)),
    "binary.tar": (unpacked(cifar(pickled=False)), lambda path: load(path, cache=False)),
    "pickled.tar": (unpacked(cifar(pickled=True)), lambda path: load(path, cache=False)),
    "train-images-idx3-ubyte": (idx(), lambda path: load(path, cache=False)),
    "train-images-idx3-ubyte.gz": (gzip.compress(idx()), lambda path: load(path, cache=False)),
    "table.npz": (table(), read_table),
    "latencies.csv": (latencies(), nb201_latencies),
    "accel.csv": (ACCEL, accel_nasbench),
    **{
        f"a/0.{kind.lower()}": (image(kind), lambda path: load(path.parents[1], cache=False))
        for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
    },
}


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Cut, overwritten, with bits flipped, a piece left out or said twice, or something else."""
    start, stop = sorted(generator.integers(0, len(content) + 1, 2).tolist())
    noise = generator.bytes(min(stop - start, 64))
    flipped = bytearray(content)
    for place in generator.integers(0, len(content), 3):
        flipped[place] ^= 1 << int(generator.integers(8))
    return [
        content[:start],
        content[:start] + noise + content[start + len(noise) :],
        bytes(flipped),
        content[:start] + content[stop:],
        content[:stop] + content[start:],
        b"\xff" * (stop - start),
    ][generator.integers(6)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")  # of Pillow, on what it repairs
def test_damaged_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, read = KINDS[name]
    path = tmp_path / "set" / name
    for folder in ("a", "b"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / "set" / folder / f"{number}.png").write_bytes(image("PNG"))
    (path.parent / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">4BI", 0, 0, 8, 1, 12) + bytes(LABELS)
    )
    path.write_bytes(content)
    if name == "latencies.csv":  # numbers from 0 on are those of the benchmark
        assert read(path)
    read(path)
    generator = np.random.default_rng(len(name))
    refused = []
    for _ in range(20):
        path.write_bytes(damaged(content, generator))
        try:
            read(path)
        except DataError as error:
            refused.append(str(error))
    assert all("\n" not in line and len(line) < 1000 for line in refused)
    assert refused or name.startswith("a/")  # one damaged image of a folder is skipped


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (b"hello", "images in set.npz is not an array"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[[[[[", "images in set.npz is damaged"),
        (
            b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, "
            b"'shape': (99999999999,)}\n",
            "images in set.npz is damaged",
        ),
        (b"", "images in set.npz is not an array"),
    ],
)
def test_members_that_are_no_arrays(member: bytes, message: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, LABELS)
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy", member)
        archive.writestr("labels.npy", file.getvalue())
    with pytest.raises(DataError, match=message):
        load(tmp_path / "set.npz")


def test_damaged_entries_of_the_cache_are_made_again(
    class_folders: Callable[..., Path], own_cache: Path
) -> None:
    root = class_folders({"a": 4, "b": 4})
    whole = load(root)
    (about,) = own_cache.glob("data/*/about.json")
    content, generator = about.read_bytes(), np.random.default_rng(0)
    for broken in (b"[" * 100_000, b"{}", b"[]", *(damaged(content, generator) for _ in range(20))):
        about.write_bytes(broken)
        assert load(root).fingerprint == whole.fingerprint
