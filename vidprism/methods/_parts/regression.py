"""Logistic regression on a summary of the frame features, the common part of the `regression_*` methods.

Each frame is layer-normalised, without gain and bias. The summary is fixed, and only a linear classifier is learned:
scikit-learn fits it on all training clips at once, with an L2 penalty on standardised summaries, and the
standardisation becomes a part of the saved weight and bias. The module has an objective like every other method, and
could also be trained in updates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task

TOLERANCE = 1e-8  # of the gradient: scikit-learn's 1e-4 stops so early that large c are fitted as if they were smaller
MOST_ITERATIONS = 10_000  # tens are needed


class Regression(nn.Module):
    """Layer normalisation of each frame, a summary over time, linear classifier.

    `summary` maps frames (B, T, D) to (B, F), where F is `n_parts` times D.

    Raises:
        ConfigError: a clip has a single time step, so that nothing changes over time.
    """

    def __init__(self, task: Task, summary: Callable[[Tensor], Tensor], n_parts: int) -> None:
        super().__init__()
        if task.n_steps < 2:
            raise ConfigError(
                "params.yaml: a regression_* method compares time steps and needs at least 2 of them in a clip, not "
                f"{task.n_steps}"
            )
        self.summary = summary
        self.classifier = nn.Linear(n_parts * task.dim, task.n_classes)

    def summarise(self, features_BTD: Tensor) -> Tensor:
        """Frame features (B, T, D) -> the classified summary (B, F)."""
        return self.summary(F.layer_norm(features_BTD, features_BTD.shape[-1:]))

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        fused_BF = self.summarise(features_BTD)
        return Output(self.classifier(fused_BF), fused_BF)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,), without the penalty of `fit`."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    @torch.no_grad()
    def fit(self, features_NTD: np.ndarray, labels_N: np.ndarray, c: float) -> None:
        """Set the classifier to scikit-learn's solution on standardised summaries of N training clips.

        Args:
            features_NTD: float32.
            labels_N: the class of each clip, below C.
            c: inverse strength of the L2 penalty.

        Raises:
            ValueError: a class has no clip, a feature is not finite, or the solver has not converged.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits

        missing = set(range(self.classifier.out_features)) - set(labels_N.tolist())
        if missing:
            raise ValueError(f"no training clip has label {min(missing)}; a regression needs clips of every class")
        summaries_NF = self.summarise(torch.from_numpy(features_NTD)).double().numpy()
        if not np.isfinite(summaries_NF).all():
            raise ValueError("features of training clips are not finite")
        scaler = StandardScaler().fit(summaries_NF)
        points_NA, axes_AF = _without_empty_directions(scaler.transform(summaries_NF))
        model = LogisticRegression(C=c, tol=TOLERANCE, max_iter=MOST_ITERATIONS)
        with threadpool_limits(1):  # the products are small: two threads of BLAS took 40 times as long as one
            model.fit(points_NA, labels_N)
        if model.n_iter_.max() >= MOST_ITERATIONS:
            raise ValueError(f"the solver has not converged after {MOST_ITERATIONS} iterations with c {c}; lower c")
        weight_CF = (model.coef_ @ axes_AF) / scaler.scale_
        bias_C = model.intercept_ - weight_CF @ scaler.mean_
        if len(weight_CF) == 1:  # of two classes scikit-learn gives the second one, against a first one of zeros
            weight_CF, bias_C = np.vstack([0 * weight_CF, weight_CF]), np.append(0, bias_C)
        self.classifier.weight.copy_(torch.from_numpy(weight_CF))
        self.classifier.bias.copy_(torch.from_numpy(bias_C))


def _without_empty_directions(points_NF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fewer points than dimensions span a space of as many dimensions as points, and the penalty leaves no weight
    outside it: the points in axes of that space (N, A), and these axes (A, F), orthonormal.
    """
    if len(points_NF) >= points_NF.shape[1]:
        return points_NF, np.eye(points_NF.shape[1])
    left_NA, sizes_A, axes_AF = np.linalg.svd(points_NF, full_matrices=False)
    return left_NA * sizes_A, axes_AF


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []
