"""The tensors of a PyTorch checkpoint as NumPy arrays, read without PyTorch and without running what the file says.

May import: the standard library, NumPy, `mlcore.training.films`. A checkpoint is a pickle, and a pickle is a program:
this reader knows the few names that tensors need and refuses every other. `chexnet_import` takes what it gives.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mlcore.training.films import TrainingError

Tensor = npt.NDArray[Any]
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # how the form before PyTorch 1.6 begins
_KINDS = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip


def read_checkpoint(path: Path) -> Any:
    """The object a checkpoint holds (dictionaries, lists, numbers, text), its tensors as arrays.

    Both forms of `torch.save` are read: the zip archive, and the one before PyTorch 1.6. Raises TrainingError on
    anything else, also where the file holds more than tensors, such as a whole model.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _read_archive(archive)
        with path.open("rb") as file:
            return _read_stream(file, path.stat().st_size)
    except OSError as error:
        raise TrainingError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except TrainingError:
        raise
    except Exception as error:  # damaged bytes make unpickling raise nearly anything
        raise TrainingError(f"{path.name} is not a checkpoint of torch.save: {error}.") from error


def _read_archive(archive: zipfile.ZipFile) -> Any:
    pickled = next(name for name in archive.namelist() if name.split("/")[-1] == "data.pkl")
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise TrainingError("The checkpoint was written on a big-endian machine, which is not supported.")
    storages: dict[str, Tensor] = {}

    def storage(kind: np.dtype[Any], key: str, count: int) -> Tensor:
        if key not in storages:
            storages[key] = np.frombuffer(archive.read(f"{folder}data/{key}"), kind)
        if storages[key].dtype != kind or len(storages[key]) < count:
            raise ValueError("a storage is shorter than its tensors")
        return storages[key]

    with archive.open(pickled) as file:
        return _Tensors(file, storage).load()


def _read_stream(file: IO[bytes], size: int) -> Any:
    storages: dict[str, Tensor] = {}

    def storage(kind: np.dtype[Any], key: str, count: int) -> Tensor:  # the numbers follow after the object
        if not 0 <= count * kind.itemsize <= size:
            raise ValueError("a storage is larger than the file")
        return storages.setdefault(key, np.empty(count, kind))

    def load() -> Any:
        return _Tensors(file, storage).load()

    if load() != _MAGIC or load() != _PROTOCOL:
        raise ValueError("it does not begin as one")
    if not load().get("little_endian", True):
        raise TrainingError("The checkpoint was written on a big-endian machine, which is not supported.")
    value = load()
    for key in load():
        target = storages[key]
        count = int.from_bytes(file.read(8), "little")
        content = file.read(target.nbytes)
        if count != len(target) or len(content) != target.nbytes:
            raise ValueError("it ends too early")
        target[:] = np.frombuffer(content, target.dtype)
    return value


class _Tensors(pickle.Unpickler):
    """Unpickles containers, numbers, text and tensors; any other name is refused before it is looked up.

    What a name stands for is text or made anew, so that a pickle can change nothing that outlives it.
    """

    def __init__(self, file: IO[bytes], storage: Callable[[np.dtype[Any], str, int], Tensor]) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): partial(_view),
            ("torch._utils", "_rebuild_tensor_v2"): partial(_view),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            **{("torch", name): kind for name, kind in _KINDS.items()},
        }
        if (module, name) not in known:
            raise TrainingError(
                f"The checkpoint holds {module}.{name}, which could run code and is not read. Where you trust the "
                "file, write its tensors alone: torch.save(model.state_dict(), 'weights.pt')."
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, _, count, *part = pid
        whole = self._storage(np.dtype(str(kind)), str(key), int(count))
        if part and part[0] is not None:  # the old form can name a part of a storage
            _, start, length = part[0]
            return whole[start : start + length]
        return whole


def _view(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    """A tensor as a view of its storage, which it must not leave."""
    if offset < 0 or len(size) != len(stride) or min((*size, *stride), default=0) < 0:
        raise ValueError("a tensor has an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(storage):
        raise ValueError("a tensor leaves its storage")
    bytes_between = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], tuple(size), bytes_between, writeable=False)
