"""The bundled sample of CIFAR-10; samples/README.md says where it comes from."""

from importlib.resources import as_file, files

from nascence.data.parquet import read_parquet
from nascence.data.source import EncodedImages, Source

NAME = "cifar10-sample"
TRAIN = 5_000


def read_sample() -> Source:
    """5,000 training and 1,000 validation images, balanced over the ten classes of CIFAR-10."""
    with as_file(files("nascence.data") / "samples" / f"{NAME}.parquet") as path:
        source = read_parquet(path)
        assert isinstance(source.train, EncodedImages)
        items = [item for block in source.train.blocks() for item in block]
    labels = source.train.labels

    def part(start: int, stop: int) -> EncodedImages:
        chosen = items[start:stop]
        return EncodedImages(labels[start:stop], lambda: iter([chosen]), lambda: chosen[:100])

    return Source(
        class_names=source.class_names,
        train=part(0, TRAIN),
        validation=part(TRAIN, len(items)),
        origins=("CIFAR-10's training images", "some of its test images"),
        files=source.files,
    )
