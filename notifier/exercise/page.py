"""The drill's report as a page for people: French, accessible, printable, without script, loading nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="fr" dir="ltr"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>EXERCICE – compte rendu</title><style>
body {{ margin: 0; background-color: #f2f4f7; color: #1d2733; font-family: Verdana, Arial, sans-serif; font-size: 17px;
  line-height: 1.55; }}
main {{ max-width: 56em; margin: 0 auto; padding: 8px 22px 40px; background-color: #fdfdfc; color: #1d2733; }}
h1, h2 {{ color: #12395b; line-height: 1.3; }}
h2 {{ margin-top: 36px; padding-top: 16px; border-top: 1px solid #c9d1da; }}
.mark {{ padding: 10px 16px; background-color: #12395b; color: #ffffff; font-weight: bold; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
caption {{ text-align: left; padding-bottom: 6px; }}
th, td {{ padding: 6px 10px; border-bottom: 1px solid #c9d1da; text-align: left; vertical-align: top; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
@media (prefers-color-scheme: dark) {{
  body {{ background-color: #14181d; color: #e8ebee; }}
  main {{ background-color: #1d232a; color: #e8ebee; }}
  h1, h2 {{ color: #a9cdec; }}
}}
</style></head><body><main>
<p class="mark">EXERCICE – personnes inventées, aucune personne réelle n'a été informée</p>
<h1>Compte rendu de l'exercice</h1>
{body}
<p class="mark">EXERCICE – fin du compte rendu</p>
</main></body></html>
"""


def make_page(report: Mapping[str, Any]) -> str:
    """The page of a report (``report.make_report``)."""
    return _PAGE.format(body="\n".join(_sections(report)))


def _sections(report: Mapping[str, Any]) -> Iterable[str]:
    where = len(report["options"]["recipients"])
    to = f"{where} adresses internes" if where else "un relais de cette machine, qui n'envoie rien plus loin"
    yield _paragraph(f"Campagne répétée : {report['campaign']}. Le {_day(report['made'])}. Messages remis à {to}.")
    yield _essentials(report)
    yield "<h2>Ce qui aurait arrêté une vraie campagne</h2>"
    stops = [f"{each['where']} : {each['text']}" for each in report["would_have_stopped"]]
    yield _list(stops, "Rien : les réglages sont complets et toutes les étapes ont abouti.")
    yield "<h2>Erreurs et écarts constatés</h2>"
    yield _list(report["errors"], "Aucun.")
    yield "<h2>Durée de chaque étape</h2>"
    rows = [
        (escape(step["title"]), _seconds(step["seconds"]), escape(step["error"]) or "faite") for step in report["steps"]
    ]
    yield _table("Le temps de réflexion des personnes est compris.", ("Étape", "Durée", "Issue"), rows, {1})
    yield "<h2>Décisions prises</h2>"
    decided = [
        (escape(each["question"]), escape(each["answer"]), _seconds(each["seconds"]) if each["asked"] else "par défaut")
        for each in report["decisions"]
    ]
    yield _table("« Par défaut » : personne n'a été interrogé.", ("Question", "Réponse", "Réflexion"), decided, {2})
    yield from _projection(report)
    if report["warnings"]:
        yield "<h2>Avertissements du contrôle</h2>"
        yield _list([f"{each['where']} : {each['text']}" for each in report["warnings"]], "")
    yield "<h2>La preuve de l'exercice</h2>"
    if report["proof"]["intact"]:
        yield _paragraph(
            "Le dossier de preuve est intact. Il est signé par une clé d'exercice : la vérification le dit, et le "
            "refuse comme preuve d'une vraie campagne."
        )
    else:
        yield _paragraph("Aucun dossier de preuve n'a été vérifié.")


def _essentials(report: Mapping[str, Any]) -> str:
    first = report["to_first_notice_seconds"]
    told = [
        f"Des fichiers au premier message : {_seconds(first) if first is not None else 'aucun message n’est parti'}.",
        f"Durée totale, une fois les fichiers reçus : {_seconds(report['total_seconds'])}.",
        f"Cadence mesurée : {_number(report['messages_per_minute'])} messages par minute.",
    ]
    terms = report["notifications"] or {}
    if terms:
        sent = terms["handed_over"] + terms["presumed"] + terms["confirmed"]
        told.append(
            f"{_number(report['persons'])} personnes : {_number(sent)} informées par e-mail, "
            f"{_number(terms['post'])} par courrier à imprimer, {_number(terms['excluded'])} exclues, "
            f"{_number(terms['unmatched'] + terms['unreachable'])} non jointes, {_number(terms['pending'])} en attente."
        )
    if not report["finished"]:
        told.insert(0, "L'exercice n'est pas allé à son terme.")
    return "<h2>L'essentiel</h2>" + _list(told, "")


def _projection(report: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>Fin prévue pour la taille réelle</h2>"
    if not report["projections"]:
        yield _paragraph("Aucun message n'est parti : rien ne peut être projeté.")
        return
    rows = [
        (
            _number(each["persons"]),
            _number(each["messages"]),
            _number(each["per_hour"]),
            escape(each["narrowed_by"]),
            (_moment(each["end"]) if each["end"] else "plus de dix ans") + (" : trop tard" if each["late"] else ""),
        )
        for each in report["projections"]
    ]
    headings = ("Personnes", "Messages", "Par heure", "Limité par", "Fin, en commençant maintenant")
    yield _table("D'après la cadence mesurée et les réglages d'envoi.", headings, rows, {0, 1, 2})


def _table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> str:
    """``rows`` hold HTML. Without rows: a sentence."""
    if not rows:
        return _paragraph("Aucune.")

    def kind(place: int) -> str:
        return ' class="number"' if place in numbers else ""

    head = "".join(f'<th scope="col"{kind(place)}>{escape(text)}</th>' for place, text in enumerate(headings))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind(place)}>{cell}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>'
        f"{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _list(items: Sequence[str], none: str) -> str:
    if not items:
        return _paragraph(none)
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _number(value: float) -> str:
    """1234567.5 → ``1 234 567,5`` with narrow no-break spaces."""
    text = f"{value:,.1f}" if isinstance(value, float) and value % 1 else f"{value:,.0f}"
    return text.replace(",", "\u202f").replace(".", ",")


def _seconds(seconds: float) -> str:
    """``3 h 12 min``, ``4 min 05 s``, ``0,8 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".", ",")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _day(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%d/%m/%Y à %H:%M")


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%d/%m/%Y à %H:%M")
