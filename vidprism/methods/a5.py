"""A5: learned words around the class name, and a small transformer over the frames; both towers are frozen.

Source: Ju et al., "Prompting Visual-Language Models for Efficient Video Understanding", ECCV 2022, Sections 3.2 and
3.3, and the settings of github.com/ju-chen/Efficient-Prompt (MIT): 16 learned vectors before and 16 after the class
name, shared by all classes; positions, pre-norm layers without a residual around them, the mean over time; cosine over
0.07. Two layers as in its code. Where the context of the text tower is too short for 16 and 16, as many as fit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import FrameLayer, n_heads, quick_gelu
from vidprism.methods._parts.texts import cosines

LABEL = "A5"
SEARCHED = "lr"
IS_PEER = True
USES = ("text",)
DEFAULTS = {"vectors": 16, "layers": 2}

TEMPERATURE = 0.07


class A5(nn.Module):
    """The learned vectors (one for each position of a text), positions over time, and layers."""

    words_CLW: Tensor
    learned_CL1: Tensor
    end_C: Tensor

    def __init__(self, task: Task, vectors: int, layers: int) -> None:
        super().__init__()
        assert task.text is not None
        self.text = task.text
        words_CLW, learned_CL1, end_C = prompted(task, vectors)
        for name, value in (("words_CLW", words_CLW), ("learned_CL1", learned_CL1), ("end_C", end_C)):
            self.register_buffer(name, value)
        self.vectors_PW = nn.Parameter(0.01 * torch.randn(task.text.context_length, task.text.width))
        self.positions_TD = nn.Parameter(0.01 * torch.randn(task.n_steps, task.dim))
        self.layers = nn.ModuleList(
            FrameLayer(task.dim, n_heads(task.dim), activation=quick_gelu) for _ in range(layers)
        )

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        x_BTD = features_BTD + self.positions_TD if self.layers else features_BTD
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        fused_BD = x_BTD.mean(dim=1)
        return Output(cosines(fused_BD, self.texts()) / TEMPERATURE, fused_BD)

    def texts(self) -> Tensor:
        """Features (C, D) of the class names among the learned vectors."""
        vectors_LW = self.vectors_PW[: self.words_CLW.shape[1]]
        return self.text.encode(self.words_CLW + self.learned_CL1 * vectors_LW, self.end_C)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """Vectors, positions and layers; the towers are frozen."""
        return [(list(self.parameters()), 1.0)]


def prompted(task: Task, vectors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each class name with room for `vectors` learned vectors before and after it, or for as many as fit.

    Returns:
        Embeddings (C, L, W) of start token, name and end token, zero where a learned vector stands; where that is
        (C, L, 1), 0 or 1; the position of the end token (C,).

    Raises:
        ConfigError: a class name leaves no room for a vector.
    """
    text = task.text
    assert text is not None
    ids_CL = text.tokenize(task.class_texts)
    end_C = text.ends(ids_CL)
    n_name_C = end_C - 1
    room = (text.context_length - 2 - int(n_name_C.max())) // 2
    n = min(vectors, room)
    if n < 0 or (vectors and n == 0):
        raise ConfigError(
            f"params.yaml: a5: a class name leaves no room in {text.context_length} tokens; set vectors: 0"
        )
    with torch.no_grad():
        embedded_CLW = text.embed_tokens(ids_CL)
    length = 2 + 2 * n + int(n_name_C.max())
    words_CLW = embedded_CLW.new_zeros(len(ids_CL), length, text.width)
    learned_CL1 = embedded_CLW.new_zeros(len(ids_CL), length, 1)
    for c, n_name in enumerate(map(int, n_name_C)):
        words_CLW[c, 0] = embedded_CLW[c, 0]
        words_CLW[c, 1 + n : 1 + n + n_name] = embedded_CLW[c, 1 : 1 + n_name]
        words_CLW[c, 1 + 2 * n + n_name] = embedded_CLW[c, 1 + n_name]
        learned_CL1[c, 1 : 1 + n] = learned_CL1[c, 1 + n + n_name : 1 + 2 * n + n_name] = 1
    return words_CLW, learned_CL1, 1 + 2 * n + n_name_C


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, vectors: int, layers: int) -> A5:
    """The method with `vectors` learned vectors on each side of a class name and `layers` layers over the frames.

    Raises:
        ConfigError: a class name leaves no room for a vector.
    """
    return A5(task, vectors, layers)
