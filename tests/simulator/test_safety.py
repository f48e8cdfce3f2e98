"""Which prompts are rejected."""

import pytest

from simulator.errors import PromptUnsafe
from simulator.request.safety import check_prompt


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("two men Gambling in a bar", "gambling"),
        ("a casino at night", "gambling"),
        ("a shirt with a brand logo", "brand logos"),
        ("the logo of a bank", "brand logos"),
        ("Dragons over a lake", "dragon"),
    ],
)
def test_a_prompt_that_touches_a_topic_is_rejected(prompt: str, topic: str) -> None:
    """Topics are matched as words, singular or plural, whatever their case."""
    with pytest.raises(PromptUnsafe) as caught:
        check_prompt(prompt, verify=False, topics=("spiders", topic))
    assert caught.value.topic == topic


@pytest.mark.parametrize("prompt", ["a carpet", "cartography", "a fox in the snow"])
def test_a_topic_inside_another_word_is_no_mention(prompt: str) -> None:
    """The topic "art" does not reject a carpet."""
    check_prompt(prompt, verify=True, topics=("art", "car", ""))


def test_unsafe_words_count_only_when_the_check_is_asked_for() -> None:
    """The page's safety check is off by default."""
    check_prompt("a massacre", verify=False, topics=())
    with pytest.raises(PromptUnsafe):
        check_prompt("a massacre", verify=True, topics=())
