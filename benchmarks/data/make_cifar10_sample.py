"""Make the bundled sample ``cifar10-sample`` from the CIFAR-10 training set.

    python -m benchmarks.data.make_cifar10_sample cifar10-train.parquet

The argument is the 50,000 training images in the Hugging Face layout (columns ``img`` and
``label``), shuffled. Training images are the first 500 rows of each class among rows 0 to
44,999, validation images the first 100 rows of each class among rows 45,000 to 49,999, in row
order. The encoded bytes are copied unchanged; column ``row`` holds each image's row in the
argument.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import ledger

TARGET = Path(__file__).parents[2] / "src/nascence/data/samples/cifar10-sample.parquet"
VALIDATION_START = 45_000


def first_of_each_class(labels: np.ndarray, start: int, stop: int, count: int) -> np.ndarray:
    """Rows in ``[start, stop)``: the first ``count`` of each class, ascending."""
    chosen = [
        start + np.flatnonzero(labels[start:stop] == index)[:count]
        for index in range(len(ledger.CLASSES))
    ]
    if any(len(rows) < count for rows in chosen):
        raise ValueError(f"rows {start} to {stop} hold fewer than {count} images of some class")
    return np.sort(np.concatenate(chosen))


def sample(table: pa.Table) -> pa.Table:
    labels = table["label"].to_numpy()
    if len(labels) != 50_000:
        raise ValueError(f"got {len(labels)} rows; the CIFAR-10 training set has 50,000")
    rows = np.concatenate(
        [
            first_of_each_class(labels, 0, VALIDATION_START, 500),
            first_of_each_class(labels, VALIDATION_START, len(labels), 100),
        ]
    )
    chosen = table.select(["img", "label"]).take(pa.array(rows))
    chosen = chosen.append_column("row", pa.array(rows, pa.int32()))
    features = {
        "img": {"_type": "Image"},
        "label": {"names": list(ledger.CLASSES), "_type": "ClassLabel"},
        "row": {"dtype": "int32", "_type": "Value"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return chosen.replace_schema_metadata(metadata)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("source", type=Path, help="CIFAR-10 training set, parquet")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = ledger.parse(parser, words)
    # All files share their JPEG tables, so that one large page compresses them away.
    pq.write_table(
        sample(pq.read_table(arguments.source)),
        arguments.target,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        write_statistics=False,
        data_page_size=1 << 24,
        row_group_size=6_000,
        store_schema=True,
    )
    with ledger.Report(arguments) as report:
        table = report.table("The bundled sample", "file", ("size", "bytes", "lower"))
        table.row(arguments.target.name, arguments.target.stat().st_size)


if __name__ == "__main__":
    main()
