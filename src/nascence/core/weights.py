"""Files of weights: safetensors with a format, settings and a card in their metadata."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from nascence.core.files import understood, write_whole

RELEASED = Path(__file__).parents[1] / "weights"


class Weights(NamedTuple):
    """What a file of weights holds.

    Attributes:
        tensors: By name, on the CPU.
        metadata: Texts by name.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    def values(self, name: str, path: str | Path) -> dict[str, Any]:
        """The JSON object that the metadata have under ``name``, such as ``"card"``.

        Raises:
            ValueError: There is none; ``path`` is named.
        """
        with understood(f"the {name} in {path}"):
            return dict(json.loads(self.metadata[name]))


def write_weights(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str],
    parents: bool = True,
) -> None:
    """Write tensors of any device as safetensors, whole or not at all.

    Args:
        path: The file.
        tensors: By name, of any shape; tensors that share memory are written apart.
        metadata: Texts by name.
        parents: Whether to make the folder if it is missing.

    Raises:
        WriteError: The disk is full, or the folder is missing or cannot be written.
    """
    apart = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_whole(path, save(apart, metadata=dict(metadata)), parents=parents)


def read_weights(path: str | Path, *, of: str, format: str | None = None) -> Weights:
    """Read a safetensors file.

    Args:
        path: The file.
        of: What it should hold, for messages, such as ``"hypernetwork"``.
        format: What its metadata must name as its format; None for any.

    Raises:
        ValueError: The file cannot be read, is damaged, or has another format.
    """
    with _opened(path) as file:
        metadata = dict(file.metadata() or {})
        mine = format is None or metadata.get("format") == format
        tensors = {name: file.get_tensor(name) for name in file.keys() if mine}  # noqa: SIM118
    if not mine:
        raise ValueError(f"{path} holds no {of}: its format is {metadata.get('format')!r}")
    return Weights(tensors, metadata)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the texts of a safetensors file, and none of its tensors.

    Raises:
        ValueError: The file cannot be read or is damaged.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except Exception as error:  # a damaged file can make the reader fail in any way
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ValueError(f"{path} is not a readable safetensors file: {reason}") from None


def find_weights(name: str | Path, *, of: str, start: str) -> Path:
    """Return the file ``name``, or the released weights of that name.

    Args:
        name: A path, or the name of a released file without its suffix.
        of: What it should hold, for messages.
        start: How the names of released files of that kind start, for messages.

    Raises:
        ValueError: There is neither.
    """
    if Path(name).is_file():
        return Path(name)
    released = RELEASED / f"{name}.safetensors"
    if released.is_file():
        return released
    known = ", ".join(sorted(file.stem for file in RELEASED.glob(f"{start}*.safetensors")))
    raise ValueError(
        f"{name} is not a file, nor the name of released weights ({known or 'none'}); "
        f"give the {of}'s .safetensors file"
    )
