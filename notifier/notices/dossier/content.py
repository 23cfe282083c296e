"""What the dossier says, in French, to a DPO or a communications officer. Pure: the manifest alone decides, so that
whoever signs its hash signs what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from notifier.model import parse_exposures
from notifier.notices.dossier.blocks import (
    Block,
    Document,
    Heading,
    Items,
    Letter,
    Paragraph,
    Seal,
    Table,
    Verbatim,
)
from notifier.notices.dossier.differences import compared
from notifier.notices.dossier.signatures import HASH_FILE, MANIFEST, NAMESPACE
from notifier.notices.dossier.wording import (
    AUDIENCES,
    DOUBTS,
    FILES,
    FORMS,
    HOUSEHOLDS,
    KINDS,
    REASONS,
    ROUTES,
    TLS,
    clock,
    count,
    day,
    duration,
    french,
    meaning,
    short,
)
from notifier.notices.pages.words import PROFESSIONS, number

TEXTS = "textes"  # the folder of the notices' pages


def write_document(
    manifest: Mapping[str, Any], sha256: str, labels: Mapping[str, str], previous: Mapping[str, Any] | None
) -> Document:
    """``labels``: data category → how notices name it; ``previous``: the manifest of the wave's last approved batch."""
    name = manifest["bound"]["campaign"]["name"]
    blocks: list[Block] = [
        *_essentials(manifest, sha256),
        *_persons(manifest, labels),
        *_routes(manifest),
        *_left_out(manifest),
        *_decisions(manifest),
        *_findings(manifest),
        *_changes(manifest, previous),
        *_texts(manifest),
        *_how_to_sign(manifest),
    ]
    return Document(french(f"Dossier d'approbation – {name}"), blocks)


def page_of(segments: Sequence[int]) -> str:
    """The file of a text's page."""
    return f"{TEXTS}/segment-{segments[0]}.html"


# -- what is signed ------------------------------------------------------------------------------------------------


def _essentials(manifest: Mapping[str, Any], sha256: str) -> Iterator[Block]:
    bound, deliveries = manifest["bound"], manifest["deliveries"]
    persons = manifest["list"]["notifications"]
    if bound["campaign"]["sample"]:
        yield Paragraph("Campagne d'exemple : toutes les personnes sont inventées.", "attention")
    yield Heading(2, "L'essentiel")
    yield Paragraph(
        french(
            f"Ce dossier montre tout ce qui partira si vous l'approuvez : vague « {manifest['wave']} » "
            f"({meaning(KINDS, manifest['kind'])}), lot n° {manifest['batch']}."
        )
    )
    yield Items(
        [
            french(f"{count(persons, 'personne est concernée', 'personnes sont concernées')} par ce lot."),
            french(
                f"{count(deliveries.get('mail', 0), 'e-mail', 'e-mails')} et "
                f"{count(deliveries.get('post', 0), 'courrier', 'courriers')} : les membres d'un foyer peuvent "
                "partager un message."
            ),
            french(f"{count(len(manifest['texts']), 'texte', 'textes')} à lire, en entier, à la fin de ce dossier."),
            _projection(manifest["projection"], bound["pace"]["hours"]),
        ]
    )
    if attention := _attention(manifest):
        yield Paragraph("À savoir avant de signer", "attention")
        yield Items(attention)
    else:
        yield Paragraph("Rien n'est en suspens : aucun fichier, aucune ligne, aucune personne en attente.", "good")
    yield Heading(2, "Ce que vous approuvez")
    yield Paragraph(
        french(
            f"Cette empreinte (SHA-256) est celle du fichier {MANIFEST}. Elle engage les textes, les expéditeurs, le "
            "relais, les décisions, les réglages et la liste des personnes. Si l'un d'eux change, elle change, et "
            "l'approbation est refusée."
        )
    )
    yield Seal(sha256)


def _attention(manifest: Mapping[str, Any]) -> list[str]:
    """What is not in the batch, or is not settled (I1)."""
    found = [
        french(
            f"{count(file['rows'], 'ligne', 'lignes')} d'un fichier en attente ne sont dans aucun lot : "
            f"{meaning(REASONS, file['reason'])} ({file['sha256'][:12]})."
        )
        for file in manifest["files_held"]
    ]
    if reviews := sum(manifest["reviews"].values()):
        found.append(french(f"{count(reviews, 'cas est', 'cas sont')} à examiner : ces personnes attendent."))
    if rejected := manifest["open_rejections"]:
        found.append(
            french(f"{count(rejected, 'ligne rejetée est ouverte', 'lignes rejetées sont ouvertes')} : qui elles "
                   "désignent n'est informé de rien.")
        )  # fmt: skip
    nobody = sum(
        each["notifications"] for each in manifest["routes"] if each["route"] == "none" and not each["excluded"]
        and not each["review"]
    )  # fmt: skip
    if nobody:
        found.append(
            french(f"{count(nobody, 'personne ne peut', 'personnes ne peuvent')} être jointes individuellement.")
        )
    if warnings := len(manifest["findings"]):
        found.append(french(f"{count(warnings, 'remarque des contrôles', 'remarques des contrôles')}, plus bas."))
    return found


def _projection(projected: Mapping[str, Any], hours: str) -> str:
    """The end, as far as it can be known."""
    if not projected["messages"]:
        return "Aucun e-mail à envoyer."
    if not projected["known"]:
        return french("Durée de l'envoi : inconnue, seul le relais la limite.")
    if projected["days"] == 1 or not hours:
        told = f"Durée de l'envoi : au moins {duration(projected['seconds'])}"
    else:
        ends = clock(projected["ends"])
        told = f"Durée de l'envoi : au moins {projected['days']} jours ; le dernier, jusque vers {ends}"
    if projected["latest_start"]:
        told += (
            f". Pour finir le {day(projected['notify_by'])}, il doit commencer le {day(projected['latest_start'])} au "
            "plus tard"
        )
    return french(told + ".")


# -- who is concerned, and how each is told ------------------------------------------------------------------------


def _persons(manifest: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Block]:
    brands = {sender["code"]: sender["brand"] for sender in manifest["bound"]["senders"]}
    operators = {incident["code"]: incident["operator"] for incident in manifest["bound"]["incidents"]}
    rows = []
    for segment in manifest["segments"]:
        who = meaning(AUDIENCES, segment["audience"])
        if segment["profession"]:
            who += f" ({meaning(PROFESSIONS, segment['profession'])})"
        if segment["form"] != "own":
            who += f", {meaning(FORMS, segment['form'])}"
        rows.append(
            (
                str(segment["id"]),
                who,
                _exposed(segment["exposures"], operators, labels),
                brands.get(segment["sender"], segment["sender"]),
                segment["language"],
                number(segment["notifications"]),
            )
        )
    rows.append(("", "Ensemble", "", "", "", number(manifest["list"]["notifications"])))
    yield Heading(2, "Les personnes concernées")
    yield Table(
        "Par public, données concernées, expéditeur et langue",
        ("Segment", "Public", "Données concernées", "Expéditeur", "Langue", "Personnes"),
        rows,
        frozenset({5}),
        widths=(0, 4, 8, 3, 0, 0),
    )


def _exposed(canonical: str, operators: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """Incidents with the same data are told together."""
    by_incident: dict[str, list[str]] = {}
    for exposure in sorted(parse_exposures(canonical)):
        by_incident.setdefault(exposure.incident, []).append(short(labels.get(exposure.category, exposure.category)))
    together: dict[str, list[str]] = {}
    for code, told in sorted(by_incident.items()):
        together.setdefault(", ".join(told), []).append(operators.get(code, code))
    return french(" ; ".join(f"{' et '.join(names)} : {told}" for told, names in together.items()))


def _routes(manifest: Mapping[str, Any]) -> Iterator[Block]:
    rows = []
    for each in manifest["routes"]:
        if each["excluded"]:
            continue
        route = "held" if each["review"] else each["route"]
        rows.append(
            (meaning(ROUTES, route), meaning(REASONS, each["review"] or each["reason"]), number(each["notifications"]))
        )
    yield Heading(2, "Comment elles sont informées")
    yield Table("Par voie et par raison", ("Voie", "Raison", "Personnes"), rows, frozenset({2}), widths=(2, 5, 0))


def _left_out(manifest: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(2, "Qui n'est pas informé par ce lot, et pourquoi")
    excluded: dict[str, int] = {}
    for each in manifest["routes"]:
        if each["excluded"]:
            excluded[each["excluded"]] = excluded.get(each["excluded"], 0) + each["notifications"]
    if excluded:
        reasons = [(meaning(REASONS, reason), number(many)) for reason, many in sorted(excluded.items())]
        yield Table("Personnes exclues, par raison", ("Raison", "Personnes"), reasons, frozenset({1}))
    else:
        yield Paragraph("Personne n'est exclu.")
    if manifest["reviews"]:
        cases = [(meaning(REASONS, reason), number(many)) for reason, many in manifest["reviews"].items()]
        yield Table("Cas à examiner, dans toute la campagne", ("Raison", "Cas"), cases, frozenset({1}))
    else:
        yield Paragraph("Aucun cas n'est à examiner.")
    yield Heading(3, "Les fichiers")
    rows = [
        (
            meaning(FILES, file["kind"]), file["sha256"][:12], file["profile"], file["incident"] or "—",
            number(file["rows"]), number(file["records"]), number(file["rejections"]),
        )
        for file in manifest["files_in"]
    ]  # fmt: skip
    yield Table(
        "Fichiers pris en compte",
        ("Fichier", "Empreinte", "Lecture", "Violation", "Lignes", "Utilisables", "Rejetées"),
        rows,
        frozenset({4, 5, 6}),
        widths=(4, 3, 4, 2, 0, 0, 0),
    )
    if manifest["files_held"]:
        held = [
            (meaning(FILES, file["kind"]), file["sha256"][:12], meaning(REASONS, file["reason"]), number(file["rows"]))
            for file in manifest["files_held"]
        ]
        yield Table(
            "Fichiers en attente : personne n'y est informé",
            ("Fichier", "Empreinte", "Raison", "Lignes"),
            held,
            frozenset({3}),
        )
    else:
        yield Paragraph("Aucun fichier n'est en attente.")
    yield Paragraph(french(f"Lignes rejetées encore ouvertes : {number(manifest['open_rejections'])}."))


# -- what was decided ----------------------------------------------------------------------------------------------


def _decisions(manifest: Mapping[str, Any]) -> Iterator[Block]:
    bound, projected = manifest["bound"], manifest["projection"]
    relay, pace = bound["relay"], bound["pace"]
    rate = projected["rate"]
    rows = [
        ("Ayants droit adultes sans e-mail", HOUSEHOLDS[bound["households"]["adult_dependants"]]),
        ("Réponse du serveur perdue en fin d'envoi", meaning(DOUBTS, bound["doubt"]["policy"])),
        ("Heures d'envoi", f"{pace['hours']} ({bound['campaign']['timezone']})" if pace["hours"] else "à toute heure"),
        ("Cadence", "sans limite" if rate == "0" else f"{rate.replace('.', ',')} messages par seconde au plus"),
        ("Cadence propre à chaque fournisseur de messagerie", "oui" if pace["providers"] else "non"),
        ("Montée en charge", _warm_up(pace["warm_up"])),
        ("Plafonds du numéro d'appel", _caps(pace)),
        ("Arrêt après les premiers messages", _canary(pace["canary"])),
        ("Relais", _relay(relay)),
        ("Relais de secours", _relay(relay["fallback"]) if relay.get("fallback") else "aucun"),
        ("Fondement", bound["campaign"]["legal_basis"]),
        ("Auteur des textes", manifest["approval"]["author"] or "non nommé"),
        ("Signatures demandées", _required(manifest["approval"])),
    ]
    yield Heading(2, "Les décisions et les réglages")
    yield Table(
        "Ce que la campagne a décidé", ("Sujet", "Décision"), [(french(a), french(b)) for a, b in rows], widths=(2, 3)
    )
    for sender in bound["senders"]:
        yield from _sender(sender)


def _sender(sender: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(3, french(f"Expéditeur : {sender['brand']}"))
    lines = [
        ("De", sender["from_address"]),
        ("Réponses à", sender["reply_to"]),
        ("Délégué à la protection des données", f"{sender['dpo_name']} {sender['dpo_address']}".strip()),
        ("Retours d'erreur", sender["bounce_domain"] or "le domaine de l'expéditeur"),
        ("Site", sender["website"]),
        ("Adresse", sender["postal_address"]),
    ]
    for audience, line in sorted(sender["helplines"].items()):
        whom = "tous les autres" if audience == "default" else meaning(AUDIENCES, audience)
        hours = f", {line['hours']}" if line["hours"] else ""
        lines.append((f"Téléphone ({whom})", f"{line['phone']}{hours}"))
    yield Table(
        "Ce que les messages disent de lui", ("Mention", "Valeur"), [(a, french(b)) for a, b in lines], widths=(2, 3)
    )


def _relay(relay: Mapping[str, Any]) -> str:
    return f"{relay['host']}, port {relay['port']}, {meaning(TLS, relay['tls'])}{_authority(relay)}"


def _authority(relay: Mapping[str, Any]) -> str:
    """Who vouches for the server, if not the authorities that the machine knows. The digest stands in full in the
    manifest."""
    sha256 = relay["ca_sha256"]
    return f", par la seule autorité de certification dont le fichier a pour SHA-256 {sha256[:16]}…" if sha256 else ""


def _caps(pace: Mapping[str, Any]) -> str:
    told = [
        f"{number(pace[key])} messages par {unit}"
        for key, unit in (("hotline_per_hour", "heure"), ("hotline_per_day", "jour"))
        if pace[key] is not None
    ]
    return ", ".join(told) or "aucun"


def _warm_up(days: Sequence[int]) -> str:
    if not days:
        return "non"
    told = ", ".join(number(most) for most in days)
    return f"au plus {told} messages le premier jour{' et les suivants' if len(days) > 1 else ''}"


def _canary(first: int | None) -> str:
    return f"après {number(first)} messages, jusqu'à une reprise" if first else "non"


def _required(approval: Mapping[str, Any]) -> str:
    if not approval["required"]:
        return "aucune"
    names = " ; ".join(f"{each['name']} ({each['role']})" for each in approval["signers"])
    return f"{approval['required']}, parmi : {names}"


def _findings(manifest: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(2, "Les remarques des contrôles")
    if not manifest["findings"]:
        yield Paragraph("Les contrôles n'ont rien remarqué.", "good")
        return
    yield Paragraph("Aucune n'empêche l'envoi. Elles sont données telles que le programme les écrit, en anglais.")
    rows = [(each["code"], each["where"], each["text"]) for each in manifest["findings"]]
    yield Table("Remarques", ("Code", "Où", "Remarque"), rows, foreign=frozenset({0, 1, 2}), widths=(3, 4, 9))


def _changes(manifest: Mapping[str, Any], previous: Mapping[str, Any] | None) -> Iterator[Block]:
    yield Heading(2, "Ce qui change depuis la dernière approbation")
    if previous is None:
        yield Paragraph("C'est la première approbation de cette vague.")
        return
    found = compared(previous, manifest)
    yield Paragraph(
        french(f"Comparé au lot n° {previous['batch']}, dont l'empreinte est {manifest['previous']['sha256']}.")
    )
    items = [
        french(f"Segment {each['id']} ajouté : {count(each['notifications'], 'personne', 'personnes')}.")
        for each in found.added
    ]
    items += [
        french(
            f"Segment {each['id']} absent de ce lot (il y en avait {number(each['notifications'])} dans le précédent)."
        )
        for each in found.removed
    ]
    items += [french(f"Réglage changé : {line}") for line in found.settings]
    items += [french(f"Modèle de texte changé : {path}") for path in found.files]
    if items:
        yield Items(items)
    for segments, lines in found.texts:
        yield Heading(3, french(f"Texte changé : {_numbers(segments)}"))
        if lines:
            yield Paragraph(
                "Les lignes qui commencent par - disparaissent, celles qui commencent par + les remplacent."
            )
            yield Verbatim(["…" if line.startswith("@@") else line for line in lines[2:]], is_difference=True)
        else:
            yield Paragraph("Les mots sont les mêmes, la mise en page a changé.")
    if not items and not found.texts:
        yield Paragraph("Mêmes textes, mêmes réglages, mêmes publics : seules les personnes sont nouvelles.", "good")


def _numbers(segments: Sequence[int]) -> str:
    return f"segment{'s' if len(segments) > 1 else ''} {', '.join(map(str, segments))}"


# -- the texts, and the signature ----------------------------------------------------------------------------------


def _texts(manifest: Mapping[str, Any]) -> Iterator[Block]:
    segments = {segment["id"]: segment for segment in manifest["segments"]}
    yield Heading(2, "Les textes, en entier")
    yield Paragraph(
        "Chaque texte est montré tel que le lirait une personne inventée. Seuls le nom, la référence du dossier et les "
        "noms des personnes ou des établissements concernés changent d'un message à l'autre."
    )
    for place, each in enumerate(manifest["texts"], 1):
        persons = sum(segments[one]["notifications"] for one in each["segments"])
        who = sorted({meaning(AUDIENCES, segments[one]["audience"]) for one in each["segments"]})
        yield Heading(3, french(f"Texte {place} : {', '.join(who)}, {count(persons, 'personne', 'personnes')}"))
        yield Paragraph(french(f"Il va aux personnes de : {_numbers(each['segments'])}."))
        yield Letter(
            each["subject"], each["text"], page_of(each["segments"]), segments[each["segments"][0]]["language"]
        )


def _how_to_sign(manifest: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(2, "Comment approuver")
    approval = manifest["approval"]
    if not approval["required"]:
        yield Paragraph("Cette campagne ne demande pas de signature : l'équipe approuve avec « notifier approve ».")
        return
    yield Paragraph(
        french(
            f"Il faut {count(approval['required'], 'signature', 'signatures')}. Signez sur votre propre poste, avec "
            "votre propre clé, dans le dossier que vous avez reçu :"
        )
    )
    yield Verbatim(
        [
            f"sha256sum -c {HASH_FILE}",
            f"ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {HASH_FILE}",
        ]
    )
    yield Paragraph(
        french(
            f"La première commande répond « {MANIFEST}: OK » (ou « Réussi »). La seconde écrit {HASH_FILE}.sig : c'est "
            "ce fichier que vous rendez à l'équipe. Ne signez que si l'empreinte affichée plus haut est celle du "
            f"fichier {HASH_FILE}."
        )
    )
