"""What can be seen in a finished page: its words, its colours, what it would load. Pure; decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_WORD = re.compile(r"[^\W_]+")
_DECLARATION = re.compile(r"([a-z-]+)\s*:\s*([^;]+)")
_CSS_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_RGB = re.compile(r"rgb\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*\)")
_NAMED = {"black": (0, 0, 0), "white": (255, 255, 255)}
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Inked:
    """A stretch of text as it appears. None: the page does not say (in a way that we read)."""

    text: str
    colour: Colour | None
    background: Colour | None
    pixels: float | None


@dataclass(slots=True)
class _Element:
    tag: str
    colour: Colour | None
    background: Colour | None
    pixels: float | None
    items: int = 0


@dataclass(slots=True)
class Sight:
    """Everything that was seen. ``tags``: each opening tag with its attributes. ``styles``: text of kept <style>."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    inked: list[Inked] = field(default_factory=list)
    styles: str = ""

    @property
    def words(self) -> list[str]:
        """The words of the body in reading order; an ordered list's numbers are words."""
        return [word for piece in self.inked for word in words(piece.text)]


class _Eye(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sight = Sight()
        self._open: list[_Element] = [_Element("", None, None, None)]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        self.sight.tags.append((tag, named))
        above = self._open[-1]
        style = declarations(named.get("style", ""))
        if tag == "li" and above.tag == "ol":
            above.items += 1
            self.sight.inked.append(Inked(f"{above.items}.", above.colour, above.background, above.pixels))
        if tag in _VOID:
            return
        size = style.get("font-size", "")
        self._open.append(
            _Element(
                tag,
                colour(style.get("color", "")) or above.colour,
                colour(style.get("background-color", "")) or colour(named.get("bgcolor", "")) or above.background,
                float(size[:-2]) if re.fullmatch(r"[\d.]+px", size) else above.pixels,
            )
        )

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        inside = {element.tag for element in self._open}
        if "style" in inside:
            self.sight.styles += data
        elif "body" in inside and data.strip():
            here = self._open[-1]
            self.sight.inked.append(Inked(data, here.colour, here.background, here.pixels))


def look(html: str) -> Sight:
    """What there is in a page."""
    eye = _Eye()
    eye.feed(html)
    eye.close()
    return eye.sight


def words(text: str) -> list[str]:
    """The words of a text, without punctuation."""
    return _WORD.findall(text)


def declarations(style: str) -> dict[str, str]:
    """``property: value`` pairs of a style attribute."""
    return {
        name: value.replace("!important", "").strip().lower() for name, value in _DECLARATION.findall(style.lower())
    }


def style_rules(styles: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Selector and declarations of each rule of a style sheet, those inside media queries too."""
    for selector, body in _CSS_RULE.findall(re.sub(r"@media[^{]*\{", "", styles)):
        yield selector.strip(), declarations(body)


def colour(text: str) -> Colour | None:
    """``#rgb``, ``#rrggbb``, ``rgb(…)``, black, white; None for anything else.

    >>> colour("#1d2733")
    (29, 39, 51)
    """
    text = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(digit * 2 for digit in text[1:])
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    if match := _RGB.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3])
    return _NAMED.get(text)


def contrast(first: Colour, second: Colour) -> float:
    """WCAG 2.1 contrast ratio, 1 to 21.

    >>> round(contrast((0, 0, 0), (255, 255, 255)))
    21
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(value: Colour) -> float:
    channels = [part / 255 for part in value]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
