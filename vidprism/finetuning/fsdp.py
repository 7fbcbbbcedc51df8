"""A model in shards, one in each process (`train.strategy: fsdp`): parameters, gradients and the optimiser's moments.

By PyTorch's `fully_shard` itself: Accelerate's plugin has no effect without a GPU. A backbone's blocks are put together
one at a time, the rest (with the head) for a whole pass. States and stored weights hold whole tensors.
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
    """A copy in shards to train; the model itself waits on the CPU for its weights (`unshard`)."""
    copy = deepcopy(model)
    model.cpu()
    names = {parameter: name for name, parameter in copy.named_parameters()}
    for unit in copy.visual_units:
        fully_shard(unit)
    fully_shard(copy)
    now = dict(copy.named_parameters())  # other objects than before
    copy.visual_groups = [([now[names[p]] for p in parameters], share) for parameters, share in copy.visual_groups]
    return copy


@torch.no_grad()
def unshard(trained: EndToEnd, model: EndToEnd) -> None:
    """Give the model that `trained` was made of its whole weights: from then on nothing is exchanged."""
    model.to(next(trained.parameters()).device)
    for parameter, shards in zip(model.parameters(), trained.parameters(), strict=True):
        parameter.copy_(whole(shards))
    for mine, theirs in zip(model.buffers(), trained.buffers(), strict=True):
        mine.copy_(theirs)


def whole(value: Any) -> Any:
    """A tensor of shards as a whole one; lists and dictionaries with all that is in them. Anything else as it is.

    Every process must ask for the same, because the shards are exchanged.
    """
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def like(value: Any, template: Tensor) -> Any:
    """What `whole` made of a tensor such as `template`, in shards again where that one is; anything else as it is."""
    if not (isinstance(template, DTensor) and isinstance(value, Tensor) and value.shape == template.shape):
        return value
    # every process has the whole tensor: it takes its part, and nothing is sent
    return distribute_tensor(value.to(template.device), template.device_mesh, template.placements, src_data_rank=None)


def all_like(values: dict[str, Any], templates: dict[str, Any]) -> dict[str, Any]:
    """`like` of each entry."""
    return {name: like(value, templates[name]) for name, value in values.items()}


def moments_like(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's whole state (its `state_dict`), in shards where its parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {
        i: {name: like(value, parameters[i]) for name, value in of_one.items()} for i, of_one in state["state"].items()
    }
    return {**state, "state": moments}
