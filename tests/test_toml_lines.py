"""Keys of a TOML file are found on their lines."""

from __future__ import annotations

import tomllib

import pytest

from notifier.campaign import shipped
from notifier.toml_lines import TomlLines

TEXT = '''\
# a comment
database = "x"            # not = this

[campaign]
name = """a [[senders]]
code = "no key"
\\"""still"""
# rate = 10
list = [
  "one = 1",  # [two]
  "[three]",
]
"a.b".c = 1

[[senders]]
code = "one"
  [senders.helplines.default]
  phone = '# = "'

[[senders]]
code = "two"
inline = { a = 1, b = [1, 2] }
[senders.helplines."de]fault"]
phone = "x"
[[senders.marks]]
x = 1
[[senders.marks]]
x = 2
'''


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("database",), "database ="),
        (("campaign",), "[campaign]"),
        (("campaign", "name"), 'name = """'),
        (("campaign", "list"), "list = ["),
        (("campaign", "a.b", "c"), '"a.b".c'),
        (("campaign", "rate"), "# rate"),  # shown in a comment
        (("campaign", "nowhere"), "[campaign]"),  # belongs into it
        (("senders", 0, "helplines", "default", "phone"), "phone = '#"),
        (("senders", 0, "from_address"), "[[senders]]"),
        (("senders", 1, "inline", "a"), "inline ="),
        (("senders", 1, "helplines", "de]fault", "phone"), 'phone = "x"'),
        (("senders", 1, "marks", 1, "x"), "x = 2"),
    ],
)
def test_a_key_is_found(path, words):
    tomllib.loads(TEXT)
    assert words in TEXT.split("\n")[TomlLines(TEXT).line(*path) - 1]


def test_the_second_of_two_senders_is_the_second():
    lines = TomlLines(TEXT)
    assert (lines.place("senders", "one"), lines.place("senders", "two")) == (0, 1)
    assert lines.place("senders", "three") is None and lines.place("incidents", "one") is None
    assert lines.line("senders", 1) > lines.line("senders", 0)
    assert lines.line("relay", "host") == 1


@pytest.mark.parametrize(
    "path", [path for name in ("data", "templates") for path in sorted(shipped(name).rglob("*.toml"))], ids=str
)
def test_every_key_of_the_shipped_files_stands_on_its_line(path):
    text = path.read_text(encoding="utf-8")
    lines, rows = TomlLines(text), text.split("\n")

    def walk(value, at):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*at, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for place, inner in enumerate(value):
                walk(inner, (*at, place))
        else:
            row = rows[lines.line(*at) - 1]
            assert str(at[-1]) in row or "{" in row, at

    walk(tomllib.loads(text), ())
