"""A model in shards, one per process (`train.strategy: fsdp`): parameters, gradients and the moments of the optimiser.

It uses PyTorch's `fully_shard` directly, because Accelerate's plugin has no effect without a GPU. The blocks of a
backbone are gathered one at a time, the rest (including the head) for a whole pass. Saved states and stored weights
hold whole tensors.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

if TYPE_CHECKING:
    from vidprism.finetuning.model import EndToEnd


def sharded(model: EndToEnd) -> EndToEnd:
    """A sharded copy to train. The model itself stays on the CPU until `unshard` returns the weights."""
    copy = deepcopy(model)
    model.cpu()
    names = {parameter: name for name, parameter in copy.named_parameters()}
    for unit in copy.visual_units:
        fully_shard(unit)
    fully_shard(copy)
    now = dict(copy.named_parameters())  # new objects, in the place of the earlier ones
    copy.visual_groups = [([now[names[p]] for p in parameters], share) for parameters, share in copy.visual_groups]
    return copy


@torch.no_grad()
def unshard(trained: EndToEnd, model: EndToEnd) -> None:
    """Copy the whole weights of `trained` into the model that it was made from. Afterwards nothing is exchanged."""
    model.to(next(trained.parameters()).device)
    for parameter, shards in zip(model.parameters(), trained.parameters(), strict=True):
        parameter.copy_(whole(shards))
    for mine, theirs in zip(model.buffers(), trained.buffers(), strict=True):
        mine.copy_(theirs)


def whole(value: Any) -> Any:
    """Replace sharded tensors by whole ones, also inside lists and dictionaries; anything else is returned unchanged.

    Every process must call this at the same place, because the shards are exchanged.
    """
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def like(value: Any, template: Tensor) -> Any:
    """The inverse of `whole`: sharded if `template` is sharded; anything else is returned unchanged."""
    if not (isinstance(template, DTensor) and isinstance(value, Tensor) and value.shape == template.shape):
        return value
    # every process has the whole tensor and takes its part, so nothing is sent
    return distribute_tensor(value.to(template.device), template.device_mesh, template.placements, src_data_rank=None)


def all_like(values: dict[str, Any], templates: dict[str, Any]) -> dict[str, Any]:
    """`like` of each entry."""
    return {name: like(value, templates[name]) for name, value in values.items()}


def moments_like(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's whole state (its `state_dict`), sharded where its parameters are sharded."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {
        i: {name: like(value, parameters[i]) for name, value in of_one.items()} for i, of_one in state["state"].items()
    }
    return {**state, "state": moments}
