"""Class texts that a method encodes itself, and losses between videos and texts.

Letters: B clips, C classes, K sentences of a class, L tokens, W width of the text tower, D joint width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidprism.methods._interface import TextTower

SAME_CLASS = 10.0  # before the softmax that makes a target of the clips' equal labels


class Sentences:
    """K sentences of each class as tokens, and their features by a text tower whose weights may change.

    Args:
        templates: K sentences in which "{}" stands for the class.
    """

    def __init__(self, tower: TextTower, class_texts: Sequence[str], templates: Sequence[str]) -> None:
        self._take(tower, [[template.format(text) for template in templates] for text in class_texts])

    @classmethod
    def listed(cls, tower: TextTower, of_classes: Sequence[Sequence[str]]) -> Sentences:
        """Sentences that are written for each class, as many for all."""
        made = cls.__new__(cls)
        made._take(tower, of_classes)
        return made

    def _take(self, tower: TextTower, of_classes: Sequence[Sequence[str]]) -> None:
        self.tower = tower
        ids_NL = tower.tokenize([sentence for of_class in of_classes for sentence in of_class])
        longest = int(tower.ends(ids_NL).max()) + 1  # what follows the end token is not seen
        self.ids_CKL = ids_NL[:, :longest].unflatten(0, (len(of_classes), len(of_classes[0])))
        self._known: tuple[int, Tensor] | None = None

    def encode(self, ids_NL: Tensor) -> Tensor:
        """Token ids (N, L) to features (N, D), not normalised."""
        return self.tower.encode(self.tower.embed_tokens(ids_NL), self.tower.ends(ids_NL))

    def features(self) -> Tensor:
        """Features (C, K, D) of all sentences, not normalised. Without gradient they are encoded once for the same
        weights.
        """
        if torch.is_grad_enabled():
            return self._all()
        version = sum(parameter._version for parameter in self.tower.module.parameters())
        if self._known is None or self._known[0] != version or self._known[1].device != self.ids_CKL.device:
            self._known = version, self._all()
        return self._known[1]

    def _all(self) -> Tensor:
        return self.encode(self.ids_CKL.flatten(0, 1)).unflatten(0, self.ids_CKL.shape[:2])


def cosines(video: Tensor, text: Tensor) -> Tensor:
    """Cosine similarities (B, C) of videos (B, D) and texts (C, D), or (B, C, D) where they differ by clip."""
    video, text = F.normalize(video, dim=-1), F.normalize(text, dim=-1)
    return video @ text.T if text.ndim == 2 else torch.einsum("bd,bcd->bc", video, text)


def same_class(labels_B: Tensor) -> Tensor:
    """Target (B, B) of a contrast within the batch: softmax of 10 where two clips share a class, else of 0."""
    return (SAME_CLASS * (labels_B[:, None] == labels_B).float()).softmax(dim=-1)


def contrast(logits_BB: Tensor, labels_B: Tensor) -> Tensor:
    """KL divergence of a batch's clip-text logits from `same_class`, the mean over clips; for one direction."""
    target_BB = same_class(labels_B)
    return F.kl_div(logits_BB.log_softmax(dim=-1), target_BB, reduction="batchmean")
