"""An ONNX file folded on given inputs, with labels, and written."""

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest

from nascence.core.files import DamagedFileError
from nascence.folding.command import batches, fold_file

NORMALISED = "a = Conv(x, k)  b = BatchNormalization(a, s, t, m, v)  p = GlobalAveragePool(b)  "
TEXT = f"g (float[{{n}},3,8,8] x) => (float[q,4] y) {{{{ {NORMALISED} y = Flatten(p) }}}}"


@pytest.fixture
def file(parse, draw, tmp_path: Path) -> Path:
    parts = {"k": draw(4, 3, 3, 3), "s": draw(4), "t": draw(4), "m": draw(4), "v": draw(4) ** 2 + 1}
    onnx.save(parse(TEXT.format(n="N"), **parts), tmp_path / "model.onnx")
    onnx.save(parse(TEXT.format(n=2), **parts), tmp_path / "pairs.onnx")
    return tmp_path / "model.onnx"


def test_the_folded_file_is_written_and_the_source_untouched(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    job = fold_file(file, out=tmp_path / "small.onnx", repeats=2)
    assert file.read_bytes() == before
    assert job.files == (tmp_path / "small.onnx",)
    assert [n.op_type for n in onnx.load(job.files[0]).graph.node] == [
        "Conv", "GlobalAveragePool", "Flatten",
    ]  # fmt: skip
    text = str(job.report)
    assert "nodes: 4 -> 3" in text
    assert "latency" in text
    assert job.report.before.size > job.report.after.size


def test_accuracy_on_given_inputs(file: Path, draw, tmp_path: Path) -> None:
    x = draw(70, 3, 8, 8)
    runner = onnx.reference.ReferenceEvaluator(onnx.load(file))
    labels = runner.run(None, {"x": x})[0].argmax(1)
    labels[:7] = (labels[:7] + 1) % 4
    np.savez(tmp_path / "data.npz", x=x, labels=labels)
    for name in ("model.onnx", "pairs.onnx"):
        job = fold_file(tmp_path / name, inputs=tmp_path / "data.npz", repeats=0)
        assert job.accuracy == (0.9, 0.9)
        assert job.report.error_in_dtype < 1e-5


def test_batches_are_of_the_size_that_the_network_takes(file: Path, draw, tmp_path: Path) -> None:
    given = {"x": draw(5, 3, 8, 8)}
    assert [len(b["x"]) for b in batches(onnx.load(tmp_path / "pairs.onnx"), given)] == [2, 2]
    given = {"x": draw(130, 3, 8, 8)}
    assert [len(b["x"]) for b in batches(onnx.load(file), given)] == [64, 64, 2]


def test_a_shape_can_be_given(file: Path) -> None:
    assert fold_file(file, shape=(5, 3, 8, 8), repeats=0).report.after.macs == 5 * 4 * 36 * 27
    with pytest.raises(ValueError, match="does not run on the inputs"):
        fold_file(file, shape=(5, 4, 8, 8), repeats=0)


def test_inputs_that_do_not_fit_are_refused(file: Path, draw, tmp_path: Path) -> None:
    np.savez(tmp_path / "names.npz", z=draw(2, 3, 8, 8))
    with pytest.raises(ValueError, match="called x; got z"):
        fold_file(file, inputs=tmp_path / "names.npz")
    np.savez(tmp_path / "counts.npz", x=draw(2, 3, 8, 8), z=draw(3))
    with pytest.raises(ValueError, match="2, 3 samples"):
        fold_file(file, inputs=tmp_path / "counts.npz")
    np.savez(tmp_path / "few.npz", x=draw(2, 3, 8, 8), labels=np.zeros(1))
    with pytest.raises(ValueError, match="1 labels for 2"):
        fold_file(file, inputs=tmp_path / "few.npz")
    np.savez(tmp_path / "pickled.npz", x=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("pickled.npz", "text.npz"):
        with pytest.raises(DamagedFileError, match=name):
            fold_file(file, inputs=tmp_path / name)
