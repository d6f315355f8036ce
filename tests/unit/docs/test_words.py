"""The pages use the field's words, in plain sentences.

Help texts, settings and metrics are on pages that are made from the code: cli.md, settings.md, metrics.md.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.pages import FENCE, WRITTEN, name_of

# An old word, and the word of the field.
WORDS = {
    r"anew": "again, new",
    r"away": "unavailable, down",
    r"books": "metrics",
    r"buried|bury": "dead-lettered",
    r"call trees?": "span tree",
    r"error origins?": "root cause span",
    r"given back": "released",
    r"holes?": "gap",
    r"keep polic(?:y|ies)": "tail sampling",
    r"(?<!dead )(?<!dead-)letters?(?! case)": "dead letter",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"(?<!for a )moments?(?! ago)": "time",
    r"outbound": "egress",
    r"poison(?:ed)?": "invalid message",
    r"reread(?:s|ing)?": "restore",
    r"settles?|settled|settling": "resolved",
    r"stands? still|stood still": "is stuck, makes no progress",
    r"stretch(?:es)?": "offset range, time range",
    r"tells?|told|telling": "say, report, notify",
    r"whoever": "the user, the client, …",
}
# A phrase that may stay, and why.
EXCEPTIONS = {"has letters tomorrow": "characters, not dead letters"}

_CODE = re.compile(r"``[^`]+``|`[^`]+`")
_LINK = re.compile(r"\]\([^)]*\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# A list item, a table's cell, a heading or an empty line ends a sentence, whatever its last character.
_BLOCK = re.compile(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+|\n#+ |\n\| | \| |\|\n")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[:;])\s+(?=[A-Z])")


def prose(page: Path) -> str:
    """Return a page without its code and the addresses of its links."""
    text = _COMMENT.sub("", FENCE.sub("\n\n", page.read_text("utf-8")))
    return _LINK.sub("]", _CODE.sub("CODE", text))


def sentences(text: str) -> Iterator[str]:
    for block in _BLOCK.split(f"\n{text}"):
        yield from (" ".join(sentence.split()) for sentence in _SENTENCE.split(block.strip()) if sentence)


def found(page: Path) -> list[str]:
    """Return what is wrong with the sentences of a page."""
    wrong = []
    for sentence in sentences(prose(page)):
        if any(phrase in sentence for phrase in EXCEPTIONS):
            continue
        if re.match(r"\W*(?:What|Whether)\b", sentence) and sentence.endswith((".", ":")):
            wrong.append(f"begins with What or Whether and is no question: {sentence}")
        for old, new in WORDS.items():
            if match := re.search(rf"(?<![\w-])(?:{old})(?![\w-])", sentence, re.IGNORECASE):
                wrong.append(f"{match.group()!r} ({new}): {sentence}")
    return wrong


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_a_page_uses_the_words_of_the_field(page: Path) -> None:
    assert not found(page), "\n".join(found(page))


def test_each_exception_is_still_needed() -> None:
    everything = "\n".join(sentence for page in WRITTEN for sentence in sentences(prose(page)))
    assert [phrase for phrase in EXCEPTIONS if phrase not in everything] == []


@pytest.mark.parametrize(
    "text",
    [
        "A worker was told to stop.",
        "- What every topic's name starts with.",
        "| `x` | Whether it runs. |",
        "It reads a\nstretch of time.",
        "The letters lie there.",
    ],
)
def test_an_old_word_is_found(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(found(page)) == 1


@pytest.mark.parametrize(
    "text", ["What is missing?", "Dead letters stay.", "`away` is code.", "```\ntold\n```\n", "[x](told)"]
)
def test_other_text_is_not(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert found(page) == []
