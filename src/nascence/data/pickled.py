"""Read plain data out of a pickle without running any of it.

A pickle is a program for a stack machine. Here its operations are walked with
:func:`pickletools.genops`, which only parses them, and the few that build dictionaries, lists,
strings, numbers and NumPy arrays are carried out on plain values. Nothing is imported and nothing
is called: a name in the pickle stays a name, and one outside the short list below is an error.
"""

import pickletools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PickleError(ValueError):
    """The pickle holds more than plain data, or is damaged."""


class _Name(NamedTuple):
    text: str


class _Array:
    """An array between its creation and its state, and a dtype likewise."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.value: NDArray[Any] | None = None


_MARK = object()
_RECONSTRUCT = {
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
}
_NAMES = {*_RECONSTRUCT, "numpy ndarray", "numpy dtype", "_codecs encode"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TEXT = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickled(data: bytes) -> Any:
    """The value in a pickle of plain data: strings of Python 2 become ``bytes``.

    Raises:
        PickleError: It would construct or call anything else, or is damaged.
    """
    machine = _Machine()
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name == "STOP":
                return _finished(machine.stack[-1])
            machine.step(operation.name, argument)
    except PickleError:
        raise
    except Exception as error:  # a damaged pickle may end anywhere
        raise PickleError(f"it is damaged ({type(error).__name__})") from error
    raise PickleError("it is damaged (it does not end)")


def _finished(value: Any) -> Any:
    """The value, with arrays in the place of their shells where a dictionary holds them.

    No deeper: a pickle can nest one list in another so often that walking it never ends.
    """
    if not isinstance(value, dict):
        return value
    return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _TEXT:
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"):
            self._object(name, argument)
        else:
            self._collect(name)

    def _marked(self) -> list[Any]:
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def _collect(self, name: str) -> None:
        stack = self.stack
        if name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "APPENDS":
            items = self._marked()
            stack[-1].extend(items)
        elif name == "SETITEM":
            items = stack[-2:]
            del stack[-2:]
            _add(stack[-1], items)
        elif name == "SETITEMS":
            items = self._marked()
            _add(stack[-1], items)
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name == "LIST":
            stack.append(self._marked())
        elif name == "DICT":
            stack.append(_add({}, self._marked()))
        else:
            raise PickleError(f"it uses the operation {name}, which plain data do not need")

    def _object(self, name: str, argument: Any) -> None:
        if name == "GLOBAL":
            self._name(argument)
        elif name == "STACK_GLOBAL":
            module, attribute = self.stack[-2:]
            del self.stack[-2:]
            self._name(f"{module} {attribute}")
        elif name == "REDUCE":
            function, arguments = self.stack[-2:]
            self.stack[-2:] = [_reduced(function, arguments)]
        else:
            target, state = self.stack[-2:]
            del self.stack[-1]
            if not isinstance(target, _Array):
                raise PickleError("it sets the state of something that is no array")
            _set_state(target, state)

    def _name(self, text: str) -> None:
        if text not in _NAMES:
            raise PickleError(f"it names {text.replace(' ', '.')[:80]}, which is not plain data")
        self.stack.append(_Name(text))


def _add(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    for key, item in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | bytes | int):
            raise PickleError("it has a key that is neither a string nor a number")
        target[key] = item
    return target


def _reduced(function: Any, arguments: Any) -> Any:
    """What a call stands for, told from its name; nothing is called."""
    name = function.text if isinstance(function, _Name) else ""
    if name in _RECONSTRUCT:
        return _Array("array")
    if name == "numpy dtype":
        code = arguments[0]
        return _Array(code.decode() if isinstance(code, bytes) else code)
    if name == "_codecs encode":
        text, encoding = arguments
        if isinstance(text, str) and encoding in ("latin1", "latin-1"):
            return text.encode("latin-1")
    raise PickleError("it calls something that is not an array")


def _set_state(target: _Array, state: Any) -> None:
    if target.kind != "array":
        return  # of a dtype: byte order and such, which one byte does not have
    _, shape, dtype, column_major, data = state
    if not isinstance(dtype, _Array) or dtype.kind not in ("u1", "|u1"):
        raise PickleError("it holds an array that is not of bytes")
    flat = np.frombuffer(data, np.uint8)
    target.value = flat.reshape(shape[::-1]).T if column_major else flat.reshape(shape)
