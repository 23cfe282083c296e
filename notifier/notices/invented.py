"""Who reads a notice that nobody gets: persons who do not exist, constants all. Pure."""

from __future__ import annotations

from notifier.model import Audience, Contact, Form, PersonalFields, SegmentKey

REFERENCE = "0000-EXEM-P1E0"
PERSON = Contact(name="Exemple", forename="Camille")
COMPANY = Contact(name="Exemple", forename="Camille", company="Pharmacie de l'Exemple")
CHILDREN = ("Léa Exemple", "Tom Exemple")
ESTABLISHMENTS = ("Pharmacie de l'Exemple", "Optique de l'Exemple")


def invented(key: SegmentKey) -> PersonalFields:
    """Somebody who does not exist, fit for this segment."""
    professional = key.audience in {Audience.PROFESSIONAL, Audience.COMPANY}
    concerned = {Form.OWN: (), Form.CHILDREN: CHILDREN, Form.ESTABLISHMENTS: ESTABLISHMENTS}[key.form]
    return PersonalFields(COMPANY if professional else PERSON, REFERENCE, concerned)
