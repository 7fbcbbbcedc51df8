"""The backbone and a method as one model, from frames to logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vidprism.backbones import Backbone
from vidprism.finetuning import blocks, mixing
from vidprism.finetuning.microbatches import NothingRead
from vidprism.runtime import processes
from vidprism.training import log_values
from vidprism.training.recipe import Tuning, repeat_generator


class EndToEnd(nn.Module):
    """A backbone's visual side and a method's head as one module, with the text tower if the head uses it.

    `seed` is that of the repeat; what the head draws during training follows from it.

    Raises:
        ConfigError: see `vidprism.finetuning.blocks.select` and `own`.
    """

    def __init__(self, backbone: Backbone, head: Any, tuned: Tuning | None = None, seed: int = 0) -> None:
        super().__init__()
        tuned = tuned or Tuning()
        self.visual, self.head = backbone.module, head
        self.text = head.text.module if hasattr(head, "text") else None
        self.sees_clips = hasattr(head, "encode")
        self.encode_clips = backbone.encode_clips
        self.rng = repeat_generator(seed)
        self.mix = tuned.mix
        if self.text is not None:
            self.text.requires_grad_(False)
        self.visual_groups = [] if hasattr(head, "trained") else blocks.select(backbone, tuned)
        self.own_groups = blocks.own(self, head.trained(), tuned) if hasattr(head, "trained") else None
        self.visual_units = blocks.units(backbone) if tuned.strategy == "fsdp" else []
        # logged values and labels of the last forward pass
        self.seen: tuple[log_values.Seen, Tensor] | None = None
        if tuned.grad_checkpointing:
            backbone.set_grad_checkpointing()

    def trained_groups(self, backbone_lr_scale: float) -> blocks.Groups:
        """What trains, with its share of the head's rate: what the method names or, if it names nothing, the head and
        the chosen blocks of the backbone (`train.tuning`).
        """
        if self.own_groups is not None:
            return self.own_groups
        visual = [(parameters, backbone_lr_scale * share) for parameters, share in self.visual_groups]
        return [(list(self.head.parameters()), 1.0), *visual]

    def forward(self, clips_BTSS3: Tensor, labels_B: Tensor | None = None) -> object:
        """uint8 clips (B, T, S, S, 3) -> the total of the objective if labels (B,) are given (clips with label -1 do
        not count, nor clips mixed with such a one), otherwise the head's output. With `train.mix` the objective is the
        sum over both labels of a mixed clip, weighted by their shares; K labels of a clip.

        Raises:
            TrainingError: no clip of the batch is left.
        """
        if labels_B is None:
            return self.head(self._encode(clips_BTSS3))
        labels_KB, shares_K = labels_B[None], [1.0]
        if self.mix != "none":
            clips_BTSS3, share = mixing.mixed(clips_BTSS3, self.rng)
            labels_KB, shares_K = torch.stack([labels_B, mixing.partners(labels_B)]), [share, 1 - share]
        encoded, labels_BK = processes.whole_batch(self._encode(clips_BTSS3, learns=True), labels_KB.T.contiguous())
        there = (labels_BK >= 0).all(1)
        if not there.all():
            encoded, labels_BK = processes.each(lambda part: part[there], encoded), labels_BK[there]
        if not len(labels_BK):
            raise NothingRead
        output = self.head(encoded, *self._drawn("draws", len(labels_BK)))
        terms_K = [self.head.objective(output, labels_B) for labels_B in labels_BK.T]
        self.seen = log_values.see(output, terms_K[0]), labels_BK[:, 0]
        totals = [share * terms["total"] for share, terms in zip(shares_K, terms_K, strict=True)]
        return torch.stack(totals).sum()

    def _encode(self, clips_BTSS3: Tensor, learns: bool = False) -> Any:
        """Features (B, T, D), or what a method that sees clips makes of them."""
        if not self.sees_clips:
            return self.encode_clips(clips_BTSS3)
        if not learns:
            return self.head.encode(clips_BTSS3)
        # every process draws for the whole batch and takes its part, so that any number of them sees the same
        n, rank = len(clips_BTSS3), processes.rank()
        drawn = self._drawn("encode_draws", n * processes.world_size())
        mine = [{name: draws[rank * n : (rank + 1) * n] for name, draws in of_batch.items()} for of_batch in drawn]
        return self.head.encode(clips_BTSS3, *mine)

    def _drawn(self, kind: str, n_clips: int) -> list[dict[str, Tensor]]:
        """The random tensors of an update, as the last argument of a call; empty if the head draws none of a kind."""
        if not hasattr(self.head, kind):
            return []
        device = next(self.visual.parameters()).device
        return [{name: draws.to(device) for name, draws in getattr(self.head, kind)(self.rng, n_clips).items()}]
