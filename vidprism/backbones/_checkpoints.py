"""Read weights from the file formats of the field without running any code that a file may hold.

There are three formats: safetensors; a pickled state dict of torch (bare, under "state_dict", as open_clip's training
saves it, or under "model" or "module", as VideoMAE's does, perhaps with names that start with "module."); and a
TorchScript archive (as OpenAI published CLIP), from which only the tensors are read. Source of the archive's format:
torch/csrc/jit/docs/serialization.md in PyTorch's repository.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidprism.config import find_root

WEIGHTS_FILE = "weights.safetensors"
WRAPPERS = ("state_dict", "model", "module")  # keys under which training programs store the weights
# Errors that a damaged pickle may raise besides UnpicklingError.
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, AssertionError, struct.error)
STORAGES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


def read_state(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a checkpoint.

    Raises:
        ValueError: the file is damaged, is not a checkpoint, or could only be loaded by running code that it holds.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if _is_torchscript(path):
        return _torchscript(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_refused(path, str(error))) from error
    except (RuntimeError, EOFError, OSError, *MALFORMED) as error:
        raise ValueError(f"{path} is not a complete checkpoint ({_first_line(error)}); copy it again") from error
    wrapped = [content[key] for key in WRAPPERS if isinstance(content, dict) and isinstance(content.get(key), dict)]
    state = wrapped[0] if wrapped else content
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} holds no state dict (names with tensors), bare or under {', '.join(WRAPPERS)}")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def weights_path(weights: str) -> Path:
    """The file that `weights` of a backbone names: a path from the root of the clone, or a folder that holds
    ``weights.safetensors``.

    Raises:
        FileNotFoundError: nothing is there.
    """
    path = Path(weights)
    path = path if path.is_absolute() else find_root() / path
    path = path / WEIGHTS_FILE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {path}; put the checkpoint there or correct `weights` in params.yaml (weights that the "
            "suite trains itself: run `dvc repro`, stage pretrain or pretrain_video)"
        )
    return path


def fill(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Fill `module` from the tensors of `path`, as float32.

    Raises:
        ValueError: names or shapes are not those of the module.
    """
    wanted = module.state_dict()
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    expected = {k: tuple(v.shape) for k, v in wanted.items()}
    if shapes != expected:
        key = next(k for k in sorted({*shapes, *expected}) if shapes.get(k) != expected.get(k))
        found, needed = shapes.get(key, "absent"), expected.get(key, "absent")
        raise ValueError(
            f"{path} holds another model: '{key}' is {found} in the file and {needed} in the model; "
            "set `model` of this backbone in params.yaml to the model the weights were trained with"
        )
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()})


def _refused(path: Path, message: str) -> str:
    """Why torch would not unpickle a file, without torch's advice to unpickle it anyway."""
    asked = re.search(r"GLOBAL ([\w.]+)", message)
    if asked or zipfile.is_zipfile(path):
        what = f" ({asked[1]})" if asked else ""
        return (
            f"{path} was refused: it is not a plain checkpoint, and loading it would run code{what}; "
            "save its state dict as safetensors, or fetch it from its source again"
        )
    return f"{path} is not a checkpoint (perhaps a web page was saved in its place); fetch it from its source again"


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file ({error}); copy it again; if the suite made it, delete it and "
            "run `dvc repro` (stage pretrain or pretrain_video)"
        ) from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/", 1)[-1] == "constants.pkl" for name in archive.namelist())


def _torchscript(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].split("/", 1)[0]
            with archive.open(f"{root}/data.pkl") as file:
                module = _TorchScriptReader(file, archive, root).load()
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, RuntimeError, *MALFORMED) as error:
        raise ValueError(
            f"{path} is not a TorchScript archive of a model ({_first_line(error)}); copy it again"
        ) from error
    if not isinstance(module, _Module):
        raise ValueError(f"{path} is not a TorchScript archive of a model")
    return dict(_tensors(module, ""))


class _Module:
    """A scripted module, reduced to its attributes."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = state


class _TorchScriptReader(pickle.Unpickler):
    """Reads the objects of an archive. Scripted classes become `_Module`; any class that is not on the list is
    refused.
    """

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return list
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, reference: tuple) -> Tensor:
        _, dtype, key, _, n_values = reference
        content = self.archive.read(f"{self.root}/data/{key}")
        return torch.frombuffer(bytearray(content), dtype=dtype, count=n_values)


def _rebuild(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _tensors(module: _Module, prefix: str) -> list[tuple[str, Tensor]]:
    found = []
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            found.append((prefix + name, value))
        elif isinstance(value, _Module):
            found += _tensors(value, f"{prefix}{name}.")
    return found


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
