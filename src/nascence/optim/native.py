"""Loops in C++ that some optimizers can take for their step on a CPU.

A source of this package is compiled with the compiler of the machine when it is first used, in
seconds, for its processor and a number of hidden units, and kept in the cache folder.
"""

import copy
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

from torch import Tensor

from nascence.data.cache import default_folder
from nascence.optim.contract import LearnedOptimizer

FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno"),
    *("-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC"),
)


def compiled(optimizer: LearnedOptimizer) -> LearnedOptimizer:
    """A copy of an optimizer whose step is a compiled loop.

    On devices other than a CPU the step stays as it was. Raises ValueError for an architecture that
    has none, and OSError if there is no C++ compiler.
    """
    if optimizer.source is None:
        raise ValueError(
            f"{type(optimizer).__name__} has no compiled step; Small and Hierarchical have"
        )
    library(optimizer.source, optimizer.settings["hidden"])
    copied = copy.deepcopy(optimizer)
    copied.compiled = True
    return copied


def address(tensor: Tensor | None) -> ctypes.c_void_p:
    """The address of the values of a contiguous tensor of any shape, for a call of a `library`."""
    if tensor is None:
        return ctypes.c_void_p()
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


@lru_cache(maxsize=8)
def library(source: str, hidden: int) -> ctypes.CDLL:
    """The loops of a source for ``hidden`` units, compiled if they are not in the cache.

    Raises OSError if there is no compiler, or it fails.
    """
    command = [*_compiler(), *FLAGS, f"-DHIDDEN={hidden}"]
    file = Path(__file__).parent / source
    name = hashlib.blake2b(
        repr((command, _processor())).encode() + file.read_bytes(), digest_size=16
    )
    folder = default_folder()
    if folder is not None:
        path = folder / "compiled" / f"{file.parent.name}-{name.hexdigest()}.so"
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                    os.replace(_compile([*command, str(file)], Path(scratch)), path)
            return ctypes.CDLL(str(path))
        except PermissionError:
            pass  # a cache that cannot be written is done without
    with tempfile.TemporaryDirectory() as scratch:
        return ctypes.CDLL(str(_compile([*command, str(file)], Path(scratch))))


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
    path = folder / "step.so"
    done = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise OSError(f"{command[0]} cannot compile the step: {said}; do without compiling")
    return path


def _processor() -> str:
    """What distinguishes this processor from others that cannot share its code."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"
