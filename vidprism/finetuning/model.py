"""The backbone and a method as one model, from frames to logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vidprism.backbones import Backbone
from vidprism.finetuning import blocks
from vidprism.finetuning.microbatches import NothingRead
from vidprism.runtime import processes
from vidprism.training import log_values
from vidprism.training.recipe import Tuning


class EndToEnd(nn.Module):
    """A backbone's visual side and a method's head as one module."""

    def __init__(self, backbone: Backbone, head: Any, tuned: Tuning | None = None) -> None:
        super().__init__()
        tuned = tuned or Tuning()
        self.visual, self.head = backbone.module, head
        self.encode_clips = backbone.encode_clips
        self.visual_groups = blocks.select(backbone, tuned)
        self.visual_units = blocks.units(backbone) if tuned.strategy == "fsdp" else []
        # logged values and labels of the last forward pass
        self.seen: tuple[log_values.Seen, Tensor] | None = None
        if tuned.grad_checkpointing:
            backbone.set_grad_checkpointing()

    def forward(self, clips_BTSS3: Tensor, labels_B: Tensor | None = None) -> object:
        """uint8 clips (B, T, S, S, 3) -> the total of the objective if labels (B,) are given (clips with label -1 do
        not count), otherwise the head's output.

        Raises:
            TrainingError: no clip of the batch is left.
        """
        features_BTD = self.encode_clips(clips_BTSS3)
        if labels_B is None:
            return self.head(features_BTD)
        features_BTD, labels_B = processes.whole_batch(features_BTD, labels_B)
        there = labels_B >= 0
        if not there.all():
            features_BTD, labels_B = features_BTD[there], labels_B[there]
        if not len(labels_B):
            raise NothingRead
        output = self.head(features_BTD)
        terms = self.head.objective(output, labels_B)
        self.seen = log_values.see(output, terms), labels_B
        return terms["total"]
