"""The words of the pages in each language, and how a page asks for them."""

from __future__ import annotations

from typing import Literal

from deployments.api.web.words_en import WORDS as ENGLISH
from deployments.api.web.words_office_en import WORDS as OFFICE_ENGLISH
from deployments.api.web.words_office_zh import WORDS as OFFICE_CHINESE
from deployments.api.web.words_zh import WORDS as CHINESE

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-CN")
ALL: dict[Language, dict[str, str]] = {"en": ENGLISH | OFFICE_ENGLISH, "zh-CN": CHINESE | OFFICE_CHINESE}


class Say:
    """Says a thing in one language, by its key."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = ALL[language]

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with values filled in.

        Raises:
            KeyError: no such words.
        """
        return self._words[key].format(**values) if values else self._words[key]

    def counted(self, key: str, **values: object) -> str:
        """The words of a key with a count filled in; of one thing there are words of their own.

        Raises:
            KeyError: no such words.
        """
        return self(f"{key}.one" if 1 in values.values() else key, **values)

    def has(self, key: str) -> bool:
        """Whether there are words for a key."""
        return key in self._words
