"""Every rule of `check` has one code, stands in docs/check-rules.md, and is used."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from notifier.notices.rules import CHAPTERS, RULES, document

ROOT = Path(__file__).parents[2]


def _findings() -> list[tuple[str, str]]:
    """Code and severity ("error" unless said) of each Finding that the package can make."""
    made = []
    for path in (ROOT / "notifier").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                given = node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "code")
                codes = [part.value for part in ast.walk(given) if isinstance(part, ast.Constant)]
                said = [*node.args[3:4], *(k.value for k in node.keywords if k.arg == "severity")]
                severity = said[0].value if said and isinstance(said[0], ast.Constant) else "error"
                assert codes, f"{path}, line {node.lineno}: a code that is not written out"
                made += [(code, severity) for code in codes]
    return made


def test_the_rules_are_the_codes_in_the_code():
    assert {code for code, _ in _findings()} == set(RULES)
    assert [code for code, count in Counter(rule.code for c in CHAPTERS for rule in c.rules).items() if count > 1] == []


def test_the_table_says_what_blocks():
    seen: dict[str, set[str]] = {}
    for code, severity in _findings():
        seen.setdefault(code, set()).add(severity)
    told = {"yes": {"error"}, "no": {"warning"}, "both": {"error", "warning"}}
    assert {code: severities for code, severities in seen.items() if told[RULES[code].blocks] != severities} == {}


def test_the_document_is_the_table():
    assert (ROOT / "docs" / "check-rules.md").read_text(encoding="utf-8") == document()
    for rule in RULES.values():
        assert rule.found and rule.write
