"""Sentences that turn a class name into text for the text encoder. The embeddings of a set's sentences are averaged.

"{}" stands for the class in words. Sources of the sets:

    plain      the bare name: X-CLIP, and ViFi-CLIP's zero-shot test
    photo      ViFi-CLIP's training prompt
    video      a choice of this suite
    about      Text4Vis and BIKE, for training and test
    actionclip ActionCLIP's 16 sentences (it averages the scores of the sentences, this suite their embeddings)
    ensemble   the 28 sentences that CLIP's authors used for Kinetics-700 and that MoTE and VidPrism's release use
    clip_ucf   the 48 sentences that CLIP's authors used for UCF-101
    ssv2       the 20 sentences for SSv2 in VidPrism's release

The sentences of OST are not included: a language model wrote them for each class, so they are not a template.
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
_VERBS = ("", "using ", "doing ", "during ", "performing ", "practicing ")

PROMPT_SETS: dict[str, tuple[str, ...]] = {
    "plain": ("{}",),
    "photo": ("a photo of a {}.",),
    "video": ("a video of {}",),
    "about": ("This is a video about {}",),
    "actionclip": (
        *("a photo of action {}", "a picture of action {}", "Human action of {}", "{}, an action"),
        *("{} this is an action", "{}, a video of action", "Playing action of {}", "{}"),
        *("Playing a kind of action, {}", "Doing a kind of action, {}", "Look, the human is {}"),
        *("Can you recognize the action of {}?", "Video classification of {}", "A video of {}"),
        *("The man is {}", "The woman is {}"),
    ),
    "clip_ucf": tuple(
        f"a {noun} of {who} person {verb}{{}}." for verb in _VERBS for who in ("a", "the") for noun in _NOUNS
    ),
    "ssv2": (
        *("a video of {}.", "a person is {}.", "someone is {}.", "a demonstration of {}.", "an example of {}."),
        *("a clip showing {}.", "a recording of {}.", "this is a video about {}.", "a scene of {}.", "footage of {}."),
        *("a person performing the action of {}.", "a video demonstrating {}.", "a short clip of {}."),
        *("someone performing {}.", "a video clip showing {}.", "an action of {}.", "a temporal sequence of {}."),
        *("a person interacting with something by {}.", "someone manipulating objects by {}."),
        "a hand-object interaction of {}.",
    ),
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
