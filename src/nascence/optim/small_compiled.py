"""The two passes of the small optimizer as a compiled loop, on a CPU.

The C++ of `small_step.cpp` is compiled with the compiler of the machine when it is first used,
in seconds, for its processor and the number of hidden units, and kept in the cache folder. In
one loop over the parameters everything between the inputs and the step stays in registers.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from nascence.data.cache import default_folder
from nascence.optim.small_folding import Folded, Sums
from nascence.optim.small_network import Decays
from nascence.optim.small_pieces import Work

SOURCE = Path(__file__).with_name("small_step.cpp")
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno"),
    *("-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC"),
)


class Loops:
    """`nascence.optim.small_pieces.Passes` in compiled loops, for float32 on a CPU."""

    def __init__(self, work: Work, *, hidden: int) -> None:
        self.grad, self.value = work.grad.contiguous(), work.value.contiguous()
        self.work = work
        self.networks, self.rows, self.columns = work.grad.shape
        self.library = library(hidden)

    def moments(self, decays: Decays) -> Sums:
        work = self.work
        squares = work.second.new_zeros((self.networks, 10), dtype=torch.float64)
        by_row = by_column = None
        if self.rows > 1:
            by_row = work.second.new_zeros((self.networks, self.rows))
            by_column = work.second.new_zeros((self.networks, self.columns))
        change = torch.cat([decays.momenta, decays.second[:, None]], 1)
        held: list[Tensor | None] = [self.grad, self.value]
        held += [work.momenta.contiguous(), work.second.contiguous(), work.new_momenta]
        held += [work.new_second, change, by_row, by_column, squares]
        sizes = (self.networks, self.rows, self.columns)
        self.library.moments(*map(_address, held), *map(ctypes.c_int64, sizes))
        return Sums(squares.float(), by_row, by_column)

    def apply(self, folded: Folded) -> None:
        work = self.work
        first = [self.grad, self.value, work.new_momenta, work.new_second]
        layers = [folded.by_row, folded.down, folded.by_column, folded.across]
        layers += [folded.weights, folded.middle, folded.middle_bias]
        layers += [folded.outer, folded.outer_bias]
        held = [None if part is None else part.contiguous() for part in (*layers, folded.size)]
        sizes = (self.networks, self.rows, self.columns)
        self.library.apply(
            *map(_address, (*first, *held, work.target)), *map(ctypes.c_int64, sizes)
        )


def _address(tensor: Tensor | None) -> ctypes.c_void_p:
    if tensor is None:
        return ctypes.c_void_p()
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


@lru_cache(maxsize=8)
def library(hidden: int) -> ctypes.CDLL:
    """The loops for a network of ``hidden`` units, compiled if they are not in the cache.

    Raises OSError if there is no compiler, or it fails.
    """
    command = [*_compiler(), *FLAGS, f"-DHIDDEN={hidden}"]
    source = SOURCE.read_bytes()
    name = hashlib.blake2b(repr((command, _processor())).encode() + source, digest_size=16)
    folder = default_folder()
    if folder is not None:
        path = folder / "compiled" / f"small-step-{name.hexdigest()}.so"
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                    os.replace(_compile(command, Path(scratch)), path)
            return ctypes.CDLL(str(path))
        except PermissionError:
            pass  # a cache that cannot be written is done without
    with tempfile.TemporaryDirectory() as scratch:
        return ctypes.CDLL(str(_compile(command, Path(scratch))))


def _compiler() -> list[str]:
    """The command of ``CXX``, else the first C++ compiler on the path."""
    command = shlex.split(os.environ.get("CXX", ""))
    for name in [command[0]] if command else ["c++", "g++", "clang++"]:
        if found := shutil.which(name):
            return [found, *command[1:]]
    raise OSError(
        "the compiled step needs a C++ compiler and found none; install g++ or clang, name one in "
        "the variable CXX, or do without compiling"
    )


def _compile(command: list[str], folder: Path) -> Path:
    path = folder / "small_step.so"
    done = subprocess.run(
        [*command, str(SOURCE), "-o", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise OSError(f"{command[0]} cannot compile the step: {said}; do without compiling")
    return path


def _processor() -> str:
    """What code for this processor may not be shared beyond."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"
