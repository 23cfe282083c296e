"""The dossier's French: what codes mean to somebody who never saw the program, numbers and signs as French writes
them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from notifier.notices.pages.words import MONTHS, number

NBSP = "\u00a0"

AUDIENCES = {
    "insured": "assurés",
    "dependant": "ayants droit",
    "past_member": "anciens adhérents",
    "professional": "professionnels de santé",
    "company": "entreprises",
}
FORMS = {
    "own": "pour eux-mêmes",
    "children": "pour des enfants, au titulaire du contrat",
    "establishments": "pour plusieurs établissements d'une même boîte",
}
KINDS = {
    "initial": "première information",
    "supplement": "complément (de nouvelles données sont concernées)",
    "correction": "correction (nous avions écrit quelque chose de faux)",
    "rectification": "rectification (la personne n'était pas concernée)",
    "follow-up": "suite (des nouvelles)",
    "precaution": "précaution",
}
ROUTES = {"email": "e-mail", "post": "courrier", "none": "aucune", "held": "en attente d'une décision"}
REASONS = {
    "own_mailbox": "sa propre adresse e-mail",
    "no_mailbox": "pas d'adresse e-mail connue",
    "adult_dependant": "ayant droit adulte sans e-mail : un courrier, par décision de la campagne",
    "adult_dependant_undecided": "ayant droit adulte sans e-mail : rien n'est décidé",
    "contract_mailbox": "ayant droit adulte sans e-mail : la boîte du contrat, par décision de la campagne",
    "holder_mailbox": "enfant : la boîte du titulaire du contrat",
    "holder_address": "enfant : l'adresse du titulaire du contrat",
    "child_address": "enfant : sa propre adresse, par décision",
    "unreachable": "ni e-mail ni adresse postale",
    "unmatched": "aucune coordonnée trouvée",
    "review": "à examiner",
    "protection": "sous protection juridique : un courrier, jamais un e-mail",
    "opposition": "s'oppose à l'e-mail : un courrier",
    "agency_mailbox": "la seule adresse connue est celle d'une agence : un courrier",
    "excluded": "exclu",
    "decided": "personne n'est informé, par décision après examen",
    "ambiguous": "plusieurs adhérents possibles",
    "near_miss": "un adhérent presque identique",
    "wrong_match": "rapprochement signalé comme faux",
    "missing_forename": "prénom manquant",
    "ended_contract_child": "enfant sur un contrat terminé",
    "minor_without_holder": "enfant sans titulaire connu",
    "operator": "retiré par l'opérateur",
    "deceased": "décédé",
    "exempt": "exempté (RGPD, article 34, paragraphe 3)",
    "decision": "décision",
    "senders": "il nomme des assureurs que personne ne connaît",
    "rejections": "trop de ses lignes sont rejetées",
}
FILES = {"export": "fichier d'un opérateur", "directory": "fichier des adhérents"}
HOUSEHOLDS = {
    "letter": "un courrier à leur nom",
    "contract_mailbox": "un e-mail à leur nom, dans la boîte du contrat",
    None: "rien n'est décidé : ils reçoivent un courrier",
}
DOUBTS = {
    "resend": "le message est envoyé une seconde fois : mieux vaut deux fois que pas du tout",
    "hold": "le message est retenu jusqu'à une décision",
}
TLS = {
    "starttls": "chiffré (STARTTLS), identité du serveur vérifiée",
    "implicit": "chiffré (TLS), identité du serveur vérifiée",
    "none": "non chiffré",
}


def french(words: str) -> str:
    """No line breaks before : ; ! ? » nor after «."""
    return re.sub(r"« ", f"«{NBSP}", re.sub(r" ([:;!?»])", rf"{NBSP}\1", words))


def short(label: str) -> str:
    """How a notice names a kind of data, without its "votre": numéro de sécurité sociale."""
    return re.sub(r"^(?:votre|vos|le|la|les) ", "", label)


def count(value: int, one: str, several: str) -> str:
    """``0 message``, ``1 message``, ``2 messages``."""
    return f"{number(value)}{NBSP}{one if value < 2 else several}"


def meaning(words: Mapping[Any, str], code: str) -> str:
    """What a code means; the code itself where nobody has put it into words."""
    return french(words.get(code, code))


def day(iso: str) -> str:
    """``2024-03-01`` → 1er mars 2024."""
    at = date.fromisoformat(iso)
    return f"{'1er' if at.day == 1 else at.day}{NBSP}{MONTHS[at.month - 1]}{NBSP}{at.year}"


def clock(seconds: int) -> str:
    """Seconds after midnight → 14 h 30, rounded up to the minute."""
    minutes = -(-seconds // 60)
    return f"{minutes // 60}{NBSP}h" + (f"{NBSP}{minutes % 60:02d}" if minutes % 60 else "")


def duration(seconds: int) -> str:
    """3 h 20, 45 min, 12 s, rounded up."""
    if seconds < 60:
        return f"{seconds}{NBSP}s"
    if seconds < 3600:
        return f"{-(-seconds // 60)}{NBSP}min"
    return clock(seconds)
