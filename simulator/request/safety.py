"""Decide whether a prompt is rejected: the stand-in for the API's safety model.

The real service asks a model. Here a word list answers, which is enough to test how a system
handles a refusal. The caller's topics are matched as words of the prompt, singular and plural
alike. For the topics that the API's page gives as examples, a handful of near words match, too.
"""

import re

from simulator.errors import PromptUnsafe

__all__ = ["check_prompt"]

UNSAFE = {
    "gore": ("gore", "gory", "dismembered", "beheading", "mutilated"),
    "sexual content": ("nude", "naked", "nsfw", "porn", "pornographic", "erotic"),
    "violence": ("murder", "massacre", "torture", "terrorist", "bloodbath"),
    "hate": ("nazi", "swastika", "genocide"),
    "self-harm": ("suicide", "self-harm"),
    "weapons": ("bomb", "explosive"),
}
NEAR = {
    "gambling": ("casino", "poker", "roulette", "betting", "slot machine", "lottery", "gamble"),
    "brand logo": ("logo", "brand", "trademark"),
    "violence": UNSAFE["violence"],
    "nudity": UNSAFE["sexual content"],
}


SHORTEST_PLURAL = 4


def _bare(word: str) -> str:
    return (
        word[:-1]
        if len(word) >= SHORTEST_PLURAL and word.endswith("s") and not word.endswith("ss")
        else word
    )


def _normal(text: str) -> str:
    return " ".join(_bare(word) for word in re.findall(r"\w+(?:-\w+)*", text.casefold()))


def _mentions(prompt: str, phrase: str) -> bool:
    words = _normal(phrase)
    return bool(words) and f" {words} " in f" {prompt} "


def check_prompt(prompt: str, *, verify: bool, topics: tuple[str, ...]) -> None:
    """Refuse a prompt that is unsafe (if checks are requested) or touches one of the topics.

    Raises:
        PromptUnsafe: With the topic that was touched.
    """
    normal = _normal(prompt)
    for topic in topics:
        if any(_mentions(normal, word) for word in (topic, *NEAR.get(_normal(topic), ()))):
            raise PromptUnsafe(topic)
    if verify:
        for topic, words in UNSAFE.items():
            if any(_mentions(normal, word) for word in words):
                raise PromptUnsafe(topic)
