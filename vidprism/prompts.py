"""Sentences that turn a class name into text for the text encoder. Several sentences of a set are averaged.

`photo` is ViFi-CLIP's training prompt, `ensemble` the 28 sentences that CLIP's authors used for Kinetics and
that MoTE and VidPrism's release use. "{}" is the class in words.
"""

from __future__ import annotations

from vidprism.config import ConfigError, nearest

_NOUNS = ("photo", "video", "example", "demonstration")
_PATTERNS = (
    "a {} of {{}}.",
    "a {} of a person {{}}.",
    "a {} of a person using {{}}.",
    "a {} of a person doing {{}}.",
    "a {} of a person during {{}}.",
    "a {} of a person performing {{}}.",
    "a {} of a person practicing {{}}.",
)

PROMPT_SETS: dict[str, tuple[str, ...]] = {
    "plain": ("{}",),
    "photo": ("a photo of a {}.",),
    "video": ("a video of {}",),
    "ensemble": tuple(pattern.format(noun) for noun in _NOUNS for pattern in _PATTERNS),
}


def sentences(prompt_set: str, class_text: str) -> list[str]:
    """The sentences of a prompt set for one class, for example "a photo of a archery.".

    Raises:
        ConfigError: there is no prompt set of that name.
    """
    if prompt_set not in PROMPT_SETS:
        raise ConfigError(
            f"unknown prompt set '{prompt_set}' (protocol.prompt_sets); {nearest(prompt_set, PROMPT_SETS)}"
        )
    return [template.format(class_text) for template in PROMPT_SETS[prompt_set]]
