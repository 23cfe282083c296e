"""Drill: invented exports, their directory, and the truth about everybody in them.

deck of cases ─▶ people, professionals ─▶ rows ─▶ CSV, XLSX
                                      └─▶ truth.jsonl
"""
