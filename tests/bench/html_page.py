"""A page as a parser sees it, and what holds for all pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """A page's elements and texts; fails where tags do not close in the order in which they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def assert_self_contained(self) -> None:
        """No script, and nothing to fetch."""
        tags = {tag for tag, _ in self.elements}
        assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
        for _, attributes in self.elements:
            for name, value in attributes.items():
                assert not name.startswith("on")
                is_inside = (value or "").startswith("data:image/png;base64,")
                assert name == "xmlns" or is_inside or not re.search(r"https?:|//", value or ""), (name, value)
                if name in ("src", "href"):
                    assert (value or "").startswith(("#", "data:"))
        (policy,) = [a for a in self.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

    def assert_readable_without_eyes(self) -> None:
        """Charts, tables and the page itself say what they are."""
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        for svg in self.all("svg"):
            if svg.get("aria-hidden") != "true":
                assert svg["role"] == "img"
                assert set((svg["aria-labelledby"] or "").split()) <= set(ids)
        for th in self.all("th"):
            assert th["scope"] in ("col", "colgroup", "row")
        assert len(self.all("caption")) == len(self.all("table"))
        assert self.all("html") == [{"lang": "en"}]
        assert len(self.all("h1")) == 1
