"""Kind 1, labels and splits: what a person would read in a layout, and nothing else.

Every class has a colour, so that each image says which class it is of.
"""

import io
import json
import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import nascence as nc
from benchmarks.reliability.trying import Try, WrongError, allowing
from nascence.data import Dataset

SIDE = 8
NAMES = ("[\\]", "10", "9", "zebra", "Ärmel", "a b", "class-1", "[red]x", "no", "été", "0x1", "_x")
TRAIN = ("train", "Train", "TRAINING", "train2019", "seg_train", "01-train", "train_images",
         "trainset", "my_training_set", "TrainData", "train-split")  # fmt: skip
HELD_OUT = ("val", "Validation", "VALID", "val2019", "dev", "02-val", "val_images", "validate",
            "test", "Testing", "test_set", "seg_test", "eval", "TestData")  # fmt: skip


def colour(name: str) -> tuple[int, int, int]:
    """The colour of a class, far from those of all others."""
    place = NAMES.index(name)
    return 20 + 70 * (place % 4), 20 + 90 * (place // 4), 200 - 15 * place


def encoded(name: str, suffix: str = "png") -> bytes:
    """An image of a class."""
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour(name)).save(buffer, suffix)
    return buffer.getvalue()


def write_classes(folder: Path, names: Sequence[str], count: int, suffix: str = "png") -> None:
    """Class folders with ``count`` images each."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.{suffix}").write_bytes(encoded(name))


def load(path: Path) -> Dataset:
    return nc.data.load(path, size=SIDE, cache=False, workers=1)


def check(data: Dataset, names: Sequence[str], train: int, held_out: int | None) -> None:
    """Check classes, counts and the class of every image.

    Raises:
        WrongError: Something is not as a person reads it.
    """
    if set(data.class_names) != set(names):
        raise WrongError(f"classes {data.class_names}, a person reads {tuple(sorted(names))}")
    found = (len(data.train), len(data.validation))
    expected = (train, held_out) if held_out is not None else (train - found[1], found[1])
    if found != expected:
        raise WrongError(f"{found} images for training and validation, a person reads {expected}")
    for split in (data.train, data.validation):
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            seen = tuple(image[:, 0, 0].tolist())
            if max(abs(a - b) for a, b in zip(seen, colour(data.class_names[label]), strict=True)):
                raise WrongError(f"an image of colour {seen} is called {data.class_names[label]!r}")


def read(path: Path, names: Sequence[str], train: int, held_out: int | None) -> None:
    check(load(path), names, train, held_out)


def read_or_refused(path: Path, names: Sequence[str], train: int, held_out: int | None) -> None:
    """A doubtful layout: read as a person does, or refused."""
    data, _ = allowing(lambda: load(path))
    if data is not None:
        check(data, names, train, held_out)


def folder_tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    """Folders of class folders under names of splits in use."""
    for number in range(18):
        root = folder / f"folders{number}"
        first, second = rng.choice(TRAIN), rng.choice(HELD_OUT)
        names = rng.sample(NAMES, rng.randint(2, 4))
        inner = [None, "data", "dataset"][number % 3] if number % 2 else None
        base = root / inner if inner else root
        write_classes(base / first, names, 3)
        write_classes(base / second, names, 2)
        if rng.random() < 0.3:
            (base / "metadata.csv").write_text("file_name,label\n")
        yield Try(
            f"{first}/ and {second}/ {'in ' + inner if inner else ''}",
            partial(read, root, names, 3 * len(names), 2 * len(names)),
        )
    for number in range(6):
        root = folder / f"plain{number}"
        names = rng.sample(NAMES, 3)
        write_classes(root, names, 10)
        (root / ".git").mkdir()
        (root / "readme.md").write_text("words")
        yield Try(f"classes {names}", partial(read, root, names, 30, None))


def doubtful_tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    """Layouts with something missing or mixed."""
    root = folder / "three"
    names = rng.sample(NAMES, 3)
    for split, count in (("train", 3), ("val", 2), ("test", 4)):
        write_classes(root / split, names, count)
    yield Try("train, val and test", lambda: read(root, names, 9, 6))
    fewer = folder / "fewer"
    write_classes(fewer / "train", names, 3)
    write_classes(fewer / "test", names[:2], 2)
    yield Try("a class that is not in test", lambda: read_or_refused(fewer, names, 9, 4))
    more = folder / "more"
    write_classes(more / "train", names[:2], 3)
    write_classes(more / "test", names, 2)
    yield Try("a class in test alone", lambda: read_or_refused(more, names[:2], 6, 4))
    for pair in (("val", "test"), ("dev", "eval")):
        without = folder / "-".join(pair)
        for split in pair:
            write_classes(without / split, names, 3)
        yield Try(f"{pair} without train", partial(read_or_refused, without, [], 0, 0))
    flat = folder / "flat"
    for split in ("train", "test"):
        (flat / split).mkdir(parents=True)
        for name in names:
            (flat / split / f"{NAMES.index(name)}.png").write_bytes(encoded(name))
    yield Try("flat train/ and test/", lambda: read_or_refused(flat, [], 0, 0))
    linked = folder / "linked"
    write_classes(linked / "elsewhere" / "train", names, 3)
    write_classes(linked / "elsewhere" / "val", names, 2)
    (linked / "data").mkdir()
    for split in ("train", "val"):
        (linked / "data" / split).symlink_to(linked / "elsewhere" / split)
    yield Try("splits that are links", lambda: read(linked / "data", names, 9, 6))
    inside = folder / "inside"
    for name in names:
        for split, count in (("train", 3), ("test", 2)):
            (inside / name / split).mkdir(parents=True)
            for number in range(count):
                (inside / name / split / f"{number}.png").write_bytes(encoded(name))
    yield Try("splits inside of classes", lambda: read_or_refused(inside, names, 9, 6))


def table(names: Sequence[str], labels: Any, kept: Sequence[str] | None, count: int) -> pa.Table:
    """A table as `datasets` writes it; ``kept`` are the class names of its metadata."""
    cells = [{"bytes": encoded(name), "path": None} for name in names for _ in range(count)]
    made = pa.table({"image": pa.array(cells), "label": labels})
    if kept is None:
        return made
    feature = {"names": list(kept), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": feature}
    info = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": info})


def repeated(values: Sequence[Any], count: int) -> list[Any]:
    return [value for value in values for _ in range(count)]


def write(path: Path, made: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path)


def parquet_tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    """Files and folders of parquet with labels of several types."""
    places = (
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("data/train-0.parquet", "data/validation-0.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("plain_text/train/0.parquet", "plain_text/validation/0.parquet"),
        ("training.parquet", "dev.parquet"),
    )
    for number in range(20):
        root = folder / f"parquet{number}"
        names = rng.sample(NAMES, rng.randint(2, 4))
        first, second = places[number % len(places)]
        other = rng.sample(names, len(names))  # the same classes in another order
        kind = ("own names", "strings", "dictionary", "large strings")[number // 5]
        for place, order, count in ((first, names, 3), (second, other, 2)):
            if kind == "own names":
                integers = rng.choice((pa.int64(), pa.int8(), pa.uint16()))
                labels = pa.array(repeated(range(len(order)), count), integers)
                write(root / place, table(order, labels, order, count))
                continue
            labels = pa.array(repeated(order, count))
            if kind == "dictionary":
                labels = labels.dictionary_encode()
            if kind == "large strings":
                labels = labels.cast(pa.large_string())
            write(root / place, table(order, labels, None, count))
        yield Try(
            f"{first} and {second}, {kind}",
            partial(read, root, names, 3 * len(names), 2 * len(names)),
        )
    yield from shard_tries(rng, folder)


def shard_tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    """Shards that differ in types, names and order."""
    for number in range(6):
        root = folder / f"shards{number}"
        names = rng.sample(NAMES, 3)
        types = rng.choice([(pa.int64(), pa.int32()), (pa.int8(), pa.uint64())])
        for place, kind in enumerate(types):
            labels = pa.array(repeated(range(3), 5), kind)
            made = table(names, labels, names, 5)
            made = made.select(["label", "image"]) if place else made
            write(root / f"train-{place:05d}-of-00002.parquet", made)
        yield Try(
            f"shards of {types[0]} and {types[1]}",
            partial(read, root, names, 30, None),
        )
    mixed = folder / "mixed"
    names = rng.sample(NAMES, 3)
    write(mixed / "train.parquet", table(names, pa.array(repeated(names, 3)), None, 3))
    write(mixed / "val.parquet", table(names, pa.array(repeated(range(3), 2)), None, 2))
    yield Try("strings beside integers", lambda: read_or_refused(mixed, names, 9, 6))
    unlike = folder / "unlike"
    for place, order in enumerate((names, names[::-1])):
        labels = pa.array(repeated(range(3), 5))
        write(unlike / f"train-{place}.parquet", table(order, labels, order, 5))
    yield Try("shards with names in another order", lambda: read(unlike, names, 30, None))
    sets = folder / "sets"
    for name in ("a", "b"):
        write(sets / name / "train/0.parquet", table(names, pa.array(repeated(names, 3)), None, 3))
    yield Try("two configurations", lambda: read_or_refused(sets, names, 9, None))


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    yield from folder_tries(rng, folder)
    yield from doubtful_tries(rng, folder)
    yield from parquet_tries(rng, folder)
