"""The HTML of a page, as the standard library reads it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Markup:
    """The elements of a page with their attributes, and its text."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    """The elements that the text has left open."""
    text: str = ""

    @classmethod
    def of(cls, html: str) -> "Markup":
        """Read a page."""
        made = cls()
        parser = _Parser(made)
        parser.feed(html)
        parser.close()
        return made

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements in order, with the names of their attributes."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    def values(self, *names: str) -> list[str]:
        """Return the values of the attributes with these names."""
        return [value or "" for _, attributes in self.elements for name, value in attributes.items() if name in names]


_EMPTY = frozenset({"meta", "link", "input", "rect"})


class _Parser(HTMLParser):
    def __init__(self, markup: Markup) -> None:
        super().__init__()
        self._markup = markup
        self._texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), attrs
        self._markup.elements.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self._markup.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._markup.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._markup.open, tag
        assert self._markup.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    def close(self) -> None:
        super().close()
        self._markup.text = "".join(self._texts)
