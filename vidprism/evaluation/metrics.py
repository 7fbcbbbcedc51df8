"""From scores per view to answers per video: fusion of views, top-k, use of experts. Nothing here imports torch."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

FUSIONS = {"logits": lambda views: views, "softmax": lambda views: softmax(views, axis=-1)}


def fuse(logits_NVC: np.ndarray, fusion: str) -> np.ndarray:
    """One score per video and class (..., N, C) from views (..., N, V, C): the mean of the logits, or of the
    probabilities.

    Raises:
        ValueError: `fusion` is neither "logits" nor "softmax".
    """
    if fusion not in FUSIONS:
        raise ValueError(f"params.yaml: analysis.fusion must be one of {', '.join(FUSIONS)}, not {fusion!r}")
    return FUSIONS[fusion](logits_NVC.astype(np.float64)).mean(axis=-2)


def fewer_views(n_clips: int, n_crops: int) -> list[tuple[int, int, list[int]]]:
    """The subsets of a video's views that show how accuracy grows with them: 1 to `n_clips` clips, spread evenly over
    the existing ones (one clip: the middle one), each with the centre crop and with all crops.

    Returns:
        (clips, crops, indices of views); view = clip * n_crops + crop, as in `vidprism.videos.clips`. The last is all.
    """
    found = []
    for crops in sorted({1, n_crops}):
        chosen_crops = [n_crops // 2] if crops == 1 else range(n_crops)
        for k in range(1, n_clips + 1):
            clips = [(n_clips - 1) // 2] if k == 1 else [int(c) for c in np.linspace(0, n_clips - 1, k).round()]
            found.append((k, crops, [clip * n_crops + crop for clip in clips for crop in chosen_crops]))
    return found


def top_k(scores_NC: np.ndarray, labels_N: np.ndarray, k: int) -> float:
    """Top-k accuracy in percent (scikit-learn); 100 if there are at most k classes."""
    from sklearn.metrics import (
        accuracy_score,
        top_k_accuracy_score,
    )  # imported here: it takes 2 s, which the search does not need

    n_classes = scores_NC.shape[1]
    if k >= n_classes:
        return 100.0
    if n_classes == 2:  # scikit-learn's top-k expects two classes in another form; here k can only be 1
        return 100.0 * float(accuracy_score(labels_N, n_classes - 1 - scores_NC[:, ::-1].argmax(axis=1)))
    return 100.0 * float(top_k_accuracy_score(labels_N, scores_NC, k=k, labels=np.arange(n_classes)))


def answer_text(hit: np.ndarray, readable: np.ndarray) -> str:
    """One character per listed video: 1 right, 0 wrong, - unreadable. `hit` is (readable videos,), `readable` (N,)
    bool.
    """
    text = np.full(len(readable), "-")
    text[readable] = np.where(hit, "1", "0")
    return "".join(text)


def expert_usage(
    experts_RNE: np.ndarray, correct_RN: np.ndarray, labels_N: np.ndarray, n_classes: int
) -> dict[str, list]:
    """Mean expert weights per class over the videos answered correctly, and over those answered wrongly, all repeats
    together.

    Returns:
        `correct` and `wrong`: C lists of E weights, None where a class has no such video.
    """
    labels_RN = np.broadcast_to(labels_N, correct_RN.shape)
    chosen = {"correct": correct_RN, "wrong": ~correct_RN}
    return {
        name: [mean_weights(experts_RNE[mask & (labels_RN == c)]) for c in range(n_classes)]
        for name, mask in chosen.items()
    }


def mean_weights(weights_NE: np.ndarray) -> list[float] | None:
    """Mean of expert weights (N, E) over the rows without NaN, four decimals; None if there is no such row."""
    known = weights_NE[~np.isnan(weights_NE).any(axis=1)]
    return [round(float(w), 4) for w in known.mean(axis=0)] if len(known) else None
