"""The plain-text body, from the same Markdown tokens as the HTML body: complete on its own, same words, same order.

Knows what notices use: headings, paragraphs, lists (nested), quotations, rules, line breaks. Emphasis leaves no trace
in plain text. Wrapped at 72 columns (RFC 3676 advises 78 at most); a word is never broken.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it.token import Token

COLUMNS = 72


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int


@dataclass(slots=True)
class _Page:
    """What has been written, and the margins that hold at the moment."""

    lines: list[str] = field(default_factory=list)
    margins: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    bullet: str = ""  # waits for the first line of its item
    fresh: bool = False  # a quotation has just begun

    def block(self, text: str, *, gap: bool = True) -> None:
        """Write a block of text; ``gap`` puts an empty line before it, except at the top of a list item."""
        if gap and self.lines and not self.bullet and not self.fresh:
            self.lines.append("".join(self.margins).rstrip())
        self.fresh = False
        for part in text.split("\n"):
            margin = "".join(self.margins)
            first = margin + self.bullet
            later = margin + " " * len(self.bullet)
            self.lines += textwrap.wrap(
                part,
                COLUMNS,
                initial_indent=first,
                subsequent_indent=later,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [first.rstrip()]
            if self.bullet:
                self.margins.append(" " * len(self.bullet))
                self.bullet = ""


def plain_text(tokens: Sequence[Token]) -> str:
    """The text of a notice, lines ended by ``\\n``."""
    page = _Page()
    for place, token in enumerate(tokens):
        match token.type:
            case "inline":
                _write(page, tokens[place - 1], _inline(token))
            case "hr":
                page.block("-" * 24)
            case "code_block" | "fence" | "html_block":
                page.block(token.content.rstrip("\n"))
            case _ if token.nesting == 1:
                _enter(page, token)
            case _:
                _leave(page, token)
    return "\n".join(line.rstrip() for line in page.lines) + "\n"


def _write(page: _Page, block: Token, text: str) -> None:
    """A heading or a paragraph. A paragraph of a tight list is "hidden": no empty line between its items."""
    if block.type != "heading_open":
        page.block(text, gap=not block.hidden)
        return
    if page.lines and block.tag != "h3":
        page.lines.append("")
    page.block(text)
    if block.tag == "h2":
        page.lines.append("-" * len(page.lines[-1]))


def _enter(page: _Page, token: Token) -> None:
    match token.type:
        case "bullet_list_open" | "ordered_list_open":
            if page.lines and not page.lists:
                page.lines.append("".join(page.margins).rstrip())
            page.lists.append(_List(token.type == "ordered_list_open", int(token.attrGet("start") or 1)))
        case "list_item_open":
            current = page.lists[-1]
            page.bullet = f"{current.number}. " if current.ordered else "- "
            current.number += 1
        case "blockquote_open":
            if page.lines:
                page.lines.append("".join(page.margins).rstrip())
            page.margins.append("> ")
            page.fresh = True
        case _:
            pass


def _leave(page: _Page, token: Token) -> None:
    match token.type:
        case "bullet_list_close" | "ordered_list_close":
            page.lists.pop()
        case "list_item_close":
            if page.bullet:
                page.block("", gap=False)
            page.margins.pop()
        case "blockquote_close":
            page.margins.pop()
        case _:
            pass


def _inline(token: Token) -> str:
    """The words of one paragraph; only a hard break is a new line."""
    parts = []
    for child in token.children or []:
        match child.type:
            case "text" | "code_inline":
                parts.append(child.content)
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(child.content)
            case _:
                pass
    return "".join(parts)
