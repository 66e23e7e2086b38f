"""A device beside the CPU, pretended: it computes the same numbers, and refuses what a GPU would refuse.

Machines that run the tests have no GPU. A tensor on the pretended device holds its numbers on the CPU, but says that it
lies elsewhere; an operation that takes tensors of both places fails, as it would on CUDA, and so does whatever reads
its numbers without moving it first. An index on the CPU is refused too, which CUDA takes. It knows nothing of half
precision, streams or kernels, takes no branch that asks for "cuda", and saves its tensors as those of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

OTHER = torch.device("lazy")
"""A name that torch knows and has no kernels for: a tensor that is really on it can do nothing."""
_MOVES = ("_to_copy", "copy_")
_JOINS = ("stack", "cat")


class _Elsewhere(Tensor):
    """A tensor that says it lies on the other device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> _Elsewhere:
        made: _Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=OTHER,
        )
        made.held = held
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers held, after a look at where its tensors lie."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = [each for each in tensors if isinstance(each, _Elsewhere)]
    name = func._schema.name.partition("::")[2]
    in_place = name.endswith("_") and not name.endswith("__")
    # a single number of the CPU may take part in what is computed elsewhere, but not be changed nor joined with others
    number_may = name not in _JOINS and not (in_place and not isinstance(args[0], _Elsewhere))
    here = [each for each in tensors if not isinstance(each, _Elsewhere) and not (number_may and each.dim() == 0)]
    if there and here and name not in _MOVES:
        shapes = [tuple(each.shape) for each in here]
        raise RuntimeError(f"{func}: tensors {shapes} are on the CPU, others are not")
    stays = bool(there)
    if kwargs.get("device") is not None:
        stays = torch.device(kwargs["device"]) == OTHER
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif name == "copy_":
        stays = isinstance(args[0], _Elsewhere)
    result = func(*tree_map(_held, tuple(args)), **tree_map(_held, kwargs))
    if in_place:
        assert args[0].shape == _held(args[0]).shape, f"{func} changes a shape that the tensor could not tell"
        return args[0]
    return tree_map(lambda each: _Elsewhere(each) if stays and isinstance(each, Tensor) else each, result)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _Elsewhere) else value


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what makes tensors out of nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Makers(TorchFunctionMode):
    """Sees the functions that make tensors past all operations."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu") == OTHER:
            return func(*args, **{**kwargs, "device": None}).to(OTHER)
        if func is Tensor.new_tensor and isinstance(args[0], _Elsewhere):
            return torch.tensor(args[1], dtype=kwargs.get("dtype") or args[0].dtype).to(OTHER)
        if func is Tensor.tolist and isinstance(args[0], _Elsewhere):
            return args[0].held.tolist()
        return func(*args, **kwargs)


@contextmanager
def other_device(patch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Give the pretended device; where the package asks what a name means, it is this one."""
    autocast, enabled, scaler = torch.autocast, torch.is_autocast_enabled, torch.amp.GradScaler

    def known(device_type: str) -> str:
        return "cpu" if device_type == OTHER.type else device_type

    class Autocast(autocast):  # type: ignore[misc, valid-type]
        def __init__(self, device_type: str, *more: Any, **options: Any) -> None:
            super().__init__(known(device_type), *more, **options)

    with patch.context() as within:
        for module in (
            "endoseg_cli.inference.predict.predictor",
            "endoseg_cli.inference.suggest.frame_scores",
        ):
            within.setattr(f"{module}.resolve_device", _everything_there)
        within.setattr(torch, "autocast", Autocast)
        within.setattr(torch, "is_autocast_enabled", lambda name=None: name != OTHER.type and enabled(name or "cpu"))
        within.setattr(torch.amp, "GradScaler", lambda name, **options: scaler(known(name), **options))
        # what is made in inference mode could not be wrapped
        within.setattr(torch, "inference_mode", _no_grad)
        with _Makers(), _Operations():  # type: ignore[no-untyped-call]
            yield OTHER


def _everything_there(name: str) -> torch.device:
    return OTHER


def _no_grad(function: Callable[..., Any] | None = None) -> Any:
    return torch.no_grad() if function is None else torch.no_grad()(function)
