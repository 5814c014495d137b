"""A network as its ONNX file describes it: what it takes, and what its outputs are called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascence.core.files import understood
from nascence.data.decode import FRAMINGS, Framing
from nascence.data.decoding import Form
from nascence.onnx_session import onnx_session

INPUT = "float32 (N, C, H, W), pixel values divided by 255"
"""What the metadata of a file must say of its input."""
BATCH = 64
ADDING = "`onnx.helper.set_model_props` adds metadata to a file"


class ClassifierError(ValueError):
    """A file or folder cannot be used as a classifier; the message says what is missing."""


@dataclass(frozen=True)
class Classifier:
    """An ONNX file that classifies images.

    Attributes:
        path: The file.
        class_names: One name for each output.
        form: Size, channels and framing of the images that it takes.
        metadata: Everything that the file says of itself.
        session: ONNX Runtime's.
    """

    path: Path
    class_names: tuple[str, ...]
    form: Form
    metadata: Mapping[str, str]
    session: Any

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of each class.

        Args:
            images: uint8 ``(N, C, H, W)``, decoded as in training.

        Returns:
            float32 ``(N, classes)``; rows sum to 1.

        Raises:
            ClassifierError: The network does not run, or gives something else.
        """
        wanted = self.session.get_inputs()[0]
        fixed = wanted.shape[0] if isinstance(wanted.shape[0], int) else None
        step = fixed or BATCH
        pieces = [np.empty((0, len(self.class_names)), np.float32)]
        for start in range(0, len(images), step):
            pixels = images[start : start + step].astype(np.float32) / np.float32(255)
            count = len(pixels)
            if fixed:
                pixels = np.pad(pixels, ((0, fixed - count), (0, 0), (0, 0), (0, 0)))
            try:
                logits = np.asarray(self.session.run(None, {wanted.name: pixels})[0])
            except Exception as error:  # ONNX Runtime has a dozen kinds of its own
                reason = " ".join(str(error).split())[:200]
                raise ClassifierError(f"{self.path} does not run ({reason})") from error
            if logits.ndim != 2 or logits.shape[1] != len(self.class_names):
                raise ClassifierError(
                    f"{self.path} gives an output of shape {logits.shape}, but names "
                    f"{len(self.class_names)} classes; the output must be (N, classes)"
                )
            pieces.append(_softmax(logits[:count].astype(np.float32)))
        return np.concatenate(pieces)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities ``(N, K)``; rows that are some already, of a network with a softmax, stay."""
    if (logits >= 0).all() and np.allclose(logits.sum(1), 1, atol=1e-3):
        return logits
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def read_classifier(source: str | Path) -> Classifier:
    """Open the network of a finished run, or an ONNX file.

    Args:
        source: Folder of a run of ``nascence design``, or an ONNX file with the metadata
            ``classes`` (a JSON list of names) and ``input``.

    Raises:
        FileNotFoundError: There is nothing at ``source``.
        ClassifierError: The run is not finished, or the file is damaged or says too little.
    """
    path = _file_of(Path(source))
    try:
        session = onnx_session(str(path))
        metadata = dict(session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # ONNX Runtime has a dozen kinds of its own
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(
            f"{path} is not an ONNX file that ONNX Runtime can load ({reason})"
        ) from error
    missing = [name for name in ("classes", "input") if name not in metadata]
    if missing:
        raise ClassifierError(
            f"{path} does not say what its {' and '.join(missing)} are: its metadata lacks "
            f"{' and '.join(map(repr, missing))}; 'classes' is a JSON list of names and 'input' "
            f"is {INPUT!r}; {ADDING}"
        )
    if metadata["input"] != INPUT:
        raise ClassifierError(
            f"{path} takes {metadata['input']!r:.200}; only {INPUT!r} is understood; {ADDING}"
        )
    names = _class_names(path, metadata["classes"])
    form = _form(path, session, _framing(path, metadata))
    return Classifier(path, names, form, metadata, session)


def _file_of(source: Path) -> Path:
    if not source.exists():
        raise FileNotFoundError(f"there is nothing at {source}; give a run or an ONNX file")
    if not source.is_dir():
        return source
    if (source / "model.onnx").is_file():
        return source / "model.onnx"
    if (source / "config.yaml").is_file():
        raise ClassifierError(
            f"the run in {source} is not finished; go on with it by `nascence resume {source}`"
        )
    raise ClassifierError(
        f"{source} holds no run (no model.onnx); give the folder of a run of `nascence design`, "
        "or an ONNX file"
    )


def _class_names(path: Path, text: str) -> tuple[str, ...]:
    remedy = f"'classes' is a JSON list of names; {ADDING}"
    with understood(f"the list of classes in {path}", remedy=remedy, error=ClassifierError):
        names = json.loads(text)
        if not isinstance(names, list) or not names:
            raise ValueError("not a list of names")
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a name is not a text")
        return tuple(names)


def _framing(path: Path, metadata: Mapping[str, str]) -> Framing:
    """How photos of another shape come to that of the network; files of before were cropped."""
    said = metadata.get("input_framing", "crop")
    for framing in FRAMINGS:
        if framing == said:
            return framing
    raise ClassifierError(
        f"{path} wants photos framed as {said!r:.100}; known are {', '.join(FRAMINGS)}; a later "
        "version of nascence may know it"
    )


def _form(path: Path, session: Any, framing: Framing) -> Form:
    """Size and channels of the one input."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    sizes = shape[1:]
    if (
        len(shape) != 4
        or not all(isinstance(size, int) and size > 0 for size in sizes)
        or sizes[0] not in (1, 3)
        or inputs[0].type != "tensor(float)"
    ):
        got = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs) or "no input"
        raise ClassifierError(
            f"{path} takes {got[:200]}; needed is one float32 input (N, C, H, W) with 1 or 3 "
            "channels, and a height and width that are written in the file"
        )
    return Form((sizes[1], sizes[2]), grey=sizes[0] == 1, framing=framing)
