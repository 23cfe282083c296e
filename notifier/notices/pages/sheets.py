"""What there is to say of one segment, in French, and how it looks on a page. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from notifier.campaign import Sender, Settings
from notifier.model import PersonalFields, SegmentKey
from notifier.notices.bound import digest
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice
from notifier.notices.pages import words
from notifier.notices.pages.document import bullets, facts


@dataclass(frozen=True, slots=True)
class Sheet:
    """One segment. ``exposures``: operator → labels of what came out there; ``texts``: paths of frame and paragraphs;
    ``sha256``: of subject, text and HTML with their markers, in canonical JSON: the words without any person."""

    id: int
    notifications: int
    waiting: int
    audience: str
    form: str
    profession: str
    sender: Sender
    language_code: str
    subject: str
    persona: str
    exposures: Mapping[str, tuple[str, ...]]
    texts: tuple[str, ...]
    sha256: str
    html_bytes: int
    text_bytes: int
    message_bytes: int

    @property
    def title(self) -> str:
        """The segment's name for people: ``Segment 3 – Assurés``."""
        return f"Segment {self.id} – {self.whom}"

    @property
    def whom(self) -> str:
        """The audience, of professionals with their profession."""
        return f"{self.audience} ({self.profession})" if self.profession else self.audience

    @property
    def language(self) -> str:
        """The language's name in French."""
        return words.LANGUAGES.get(self.language_code, self.language_code)

    @property
    def extent(self) -> str:
        """Where how much came out: ``Viamedis : 7 données ; Almerys : 5 données``."""
        return " ; ".join(
            f"{operator} : {words.counted(len(labels), 'donnée')}" for operator, labels in self.exposures.items()
        )


def make_sheet(
    number: int,
    key: SegmentKey,
    notice: CompiledNotice,
    catalogue: Catalogue,
    settings: Settings,
    *,
    notifications: int,
    waiting: int,
    fields: PersonalFields,
    message: bytes,
) -> Sheet:
    """The sheet of a compiled segment; ``fields``, ``message``: the invented person and the message made out to it."""
    reading = notice.read(fields)
    composition = notice.composition
    return Sheet(
        id=number,
        notifications=notifications,
        waiting=waiting,
        audience=words.AUDIENCES[key.audience],
        form=words.FORMS[key.form],
        profession=words.PROFESSIONS.get(key.profession, key.profession),
        sender=settings.sender(key.sender),
        language_code=composition.language,
        subject=reading.subject,
        persona=_persona(fields),
        exposures=_exposures(key, catalogue, settings),
        texts=(composition.base, *(paragraph.path for paragraph in composition.paragraphs)),
        sha256=words_digest(notice),
        html_bytes=len(reading.html.encode()),
        text_bytes=len(reading.text.encode()),
        message_bytes=len(message),
    )


def words_digest(notice: CompiledNotice) -> str:
    """SHA-256, hex, over the canonical JSON of ``[subject, text, html]`` as all persons of the segment share them."""
    return digest([notice.composition.subject, notice.page.text, notice.page.html])


def all_digest(sheets: list[Sheet]) -> str:
    """SHA-256, hex, over the notices' digests in order of segment, each ended by a newline."""
    return hashlib.sha256("".join(f"{sheet.sha256}\n" for sheet in sheets).encode()).hexdigest()


def _persona(fields: PersonalFields) -> str:
    contact = fields.contact
    names = [f"{contact.forename} {contact.name}", *([contact.company] if contact.company else []), *fields.concerned]
    return f"{', '.join(dict.fromkeys(names))} ; référence {fields.reference}"


def _exposures(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> dict[str, tuple[str, ...]]:
    """In the order of campaign.toml and of data/categories.toml; a second incident of one operator with its code."""
    order = list(catalogue.categories)
    told: dict[str, tuple[str, ...]] = {}
    for incident in settings.incidents:
        codes = {exposure.category for exposure in key.exposures if exposure.incident == incident.code}
        if codes:
            known = [catalogue.categories[code].label for code in order if code in codes]
            name = f"{incident.operator} ({incident.code})" if incident.operator in told else incident.operator
            told[name] = (*known, *sorted(codes - set(order)))
    return told


def article(sheet: Sheet, *, files: str = "", text: str = "") -> Markup:
    """The segment as an <article> with an <h3>. ``files``: stem of its .html, .txt and .eml beside the page, "" = no
    links; ``text``: the whole notice as plain text, to be shown on the page itself."""
    exposures = Markup("").join(
        Markup("<p>Chez {} :</p>{}").format(operator, bullets(list(labels)))
        for operator, labels in sheet.exposures.items()
    )
    approved = sheet.notifications - sheet.waiting
    counted = words.counted(sheet.notifications, "notification")
    if approved:
        counted += f", dont {words.number(approved)} dans un lot déjà approuvé"
    described = facts(
        [
            ("Notifications", counted),
            ("Destinataires", f"{sheet.whom} : {sheet.form}"),
            ("Objet du message", Markup('<span lang="{}">{}</span>').format(sheet.language_code, sheet.subject)),
            ("Expéditeur", f"{sheet.sender.brand} <{sheet.sender.from_address}>"),
            ("Langue", sheet.language),
            ("Données concernées", exposures),
            ("Personne inventée", sheet.persona),
            ("Textes utilisés", bullets(list(sheet.texts))),
            (
                "Taille",
                f"HTML {words.size(sheet.html_bytes)}, texte {words.size(sheet.text_bytes)}, "
                f"message complet {words.size(sheet.message_bytes)}",
            ),
            ("Empreinte du texte", Markup('<span class="code">{}</span>').format(sheet.sha256)),
        ]
    )
    return Markup(
        '<article id="segment-{}" aria-labelledby="titre-{}">\n<h3 id="titre-{}">{}</h3>\n{}{}{}\n</article>'
    ).format(sheet.id, sheet.id, sheet.id, sheet.title, described, _links(sheet, files), _whole(sheet, text))


def _links(sheet: Sheet, stem: str) -> Markup:
    if not stem:
        return Markup("")
    links = [
        Markup('<li><a href="{}.{}">{} du segment {}</a></li>').format(stem, suffix, what, sheet.id)
        for suffix, what in (("html", "Message HTML"), ("txt", "Texte seul"), ("eml", "Message complet (.eml)"))
    ]
    return Markup('\n<ul class="files">{}</ul>').format(Markup("").join(links))


def _whole(sheet: Sheet, text: str) -> Markup:
    if not text:
        return Markup("")
    return Markup('\n<details><summary>Le message en entier</summary><pre lang="{}">{}</pre></details>').format(
        sheet.language_code, text
    )


def overview(sheets: list[Sheet]) -> Markup:
    """A table of all segments with their counts; each leads to its article on the same page."""
    rows = [
        Markup(
            '<tr><th scope="row"><a href="#segment-{}">Segment {}</a></th><td>{}<br>{}</td>'
            '<td class="count">{}</td></tr>'
        ).format(sheet.id, sheet.id, f"{sheet.whom} : {sheet.form}", sheet.extent, words.number(sheet.notifications))
        for sheet in sheets
    ]
    total = words.number(sum(sheet.notifications for sheet in sheets))
    return Markup(
        "<table>\n<caption>Les segments : toutes les personnes d'un segment reçoivent les mêmes mots.</caption>\n"
        '<thead><tr><th scope="col">Segment</th><th scope="col">Destinataires</th>'
        '<th scope="col" class="count">Notifications</th></tr></thead>\n<tbody>\n{}\n</tbody>\n'
        '<tfoot><tr><th scope="row" colspan="2">Total</th><td class="count">{}</td></tr></tfoot>\n</table>'
    ).format(Markup("\n").join(rows), total)
