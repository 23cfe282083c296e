"""How each file writes a person: one function per profile and column order (DESIGN 11). Pure.

The same person looks different in each file: capitals without accents against accents with other separators,
dd/mm/yyyy against yyyy-mm-dd, the key of the NIR in a column of its own, run on, spaced out or left out.
"""

from __future__ import annotations

from notifier.drill.draws import Draws
from notifier.drill.names import GUARANTEES, INSURER_DIRECTORY, INSURERS_ALMERYS, INSURERS_VIAMEDIS
from notifier.drill.numbers import nir_key
from notifier.drill.people import Member
from notifier.drill.professionals import Practice

VIAMEDIS_INSURED = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
ALMERYS_INSURED = "Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat"
DIRECTORY = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR"
)
HARD_DIRECTORY = f"{DIRECTORY};OPPOSITION_EMAIL;MESURE_PROTECTION"
VIAMEDIS_PROFESSIONAL = (
    "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS"
)
ALMERYS_PROFESSIONAL = (
    "Raison sociale;Nom;Prénom;Spécialité;Courriel;Téléphone;Adresse;Code postal;Ville;Identifiant;RIB;SIRET;FINESS"
)

_TWO = tuple(f"{number:02d}" for number in range(100))
_CIVILITY = {1: "M", 2: "MME"}

Cell = str | int


def _contract(member: Member) -> tuple[int, str]:
    """Year and number of the contract; the files put them together differently."""
    return 2005 + member.contract % 18, f"{member.contract:08d}"


def _key(member: Member) -> int:
    key = nir_key(member.key_of or member.nir_exported or member.nir)
    return key % 97 + 1 if member.has_wrong_key else key


def viamedis_insured(member: Member, draws: Draws) -> str:
    """One line of viamedis-insured.csv."""
    year, number = _contract(member)
    return (
        f"{member.nir_exported or member.nir};{_TWO[_key(member)]};{member.name.capitals};{member.forename.capitals};"
        f"{_TWO[member.day]}/{_TWO[member.month]}/{member.year};{member.rank_viamedis};"
        f"{draws.pick(INSURERS_VIAMEDIS)};CV{year}{number};{draws.pick(GUARANTEES)}"
    )


def almerys_insured(member: Member, draws: Draws) -> str:
    """One line of almerys-insured.csv."""
    year, number = _contract(member)
    text = member.nir_exported or member.nir
    chance = draws.unit()
    # Without a key nothing can be wrong with it: a row that must fail its check keeps it.
    if chance >= 0.1 or member.has_wrong_key:
        key = _TWO[_key(member)]
        text = (
            f"{text[0]} {text[1:3]} {text[3:5]} {text[5:7]} {text[7:10]} {text[10:]} {key}"
            if chance > 0.75
            else text + key
        )
    separator = " " if chance < 0.5 else "-"
    return (
        f"{member.name.other};{member.forename.other};{member.year}-{_TWO[member.month]}-{_TWO[member.day]};"
        f"{text};{member.rank_almerys};{draws.pick(INSURERS_ALMERYS)};CV{year}{separator}{number}"
    )


def hard_directory(member: Member) -> str:
    """One line of directory.csv of a drill of all cases: with who is under guardianship, and who objects to e-mail."""
    return f"{directory(member)};{'O' if member.is_opposed else ''};{'Tutelle' if member.is_protected else ''}"


def directory(member: Member) -> str:
    """One line of directory.csv; the key of the NIR is always right here."""
    year, number = _contract(member)
    address = ";".join(member.address) if member.address else ";;;"
    return (
        f"A{member.number:08d};{member.nir};{_TWO[nir_key(member.nir)]};"
        f"{_TWO[member.day]}/{_TWO[member.month]}/{member.year};{member.rank};"
        f"{member.name.proper};{member.forename.proper};{_CIVILITY[member.sex]};{member.link};{member.email};"
        f"{address};CV{year}-{number};fr;{member.status};{INSURER_DIRECTORY}"
    )


def unusable(index: int) -> tuple[str, str]:
    """(operator, line): a row of an insured file that leaves no identity, of four sorts in turn."""
    undated = f"2550814910025{nir_key('2550814910025'):02d}"
    return (
        ("viamedis", f";;SANSNUMERO;ALPHA;01/02/196{index % 10};1;{INSURERS_VIAMEDIS[0]};;{GUARANTEES[0]}"),
        ("almerys", f"Tronqué;Bêta;197{index % 10}-03-04;155081416802;1;{INSURERS_ALMERYS[0]};"),
        ("viamedis", f"2,55081E+14;;TABLEUR;GAMMA;05/06/198{index % 10};1;{INSURERS_VIAMEDIS[0]};;{GUARANTEES[0]}"),
        ("almerys", f"Sansdate;Delta;;{undated};;{INSURERS_ALMERYS[0]};CV2020 0000000{index % 10}"),
    )[index % 4]


def viamedis_professional(practice: Practice, draws: Draws) -> list[Cell]:
    """One row of viamedis-professional.xlsx; the SIRET is a number in some, as spreadsheets leave it."""
    number: Cell = int(practice.siret) if draws.unit() < 0.15 else practice.siret
    return [
        practice.company.upper(),
        practice.name.capitals,
        practice.forename.capitals,
        practice.profession.upper(),
        practice.email,
        practice.phone.replace(" ", ""),
        practice.street.upper(),
        practice.postcode,
        practice.town.upper(),
        practice.login if "viamedis" in practice.logins else "",
        practice.rib if "viamedis" in practice.accounts else "",
        number,
        practice.finess,
    ]


def almerys_professional(practice: Practice, draws: Draws) -> list[Cell]:
    """One row of almerys-professional.xlsx; bank accounts stand as IBAN, some SIRET with spaces."""
    number = practice.siret
    if draws.unit() < 0.3:
        number = f"{number[:3]} {number[3:6]} {number[6:9]} {number[9:]}"
    return [
        practice.company,
        practice.name.proper,
        practice.forename.proper,
        practice.profession,
        practice.email,
        practice.phone,
        practice.street,
        practice.postcode,
        practice.town,
        practice.login if "almerys" in practice.logins else "",
        practice.iban if "almerys" in practice.accounts else "",
        number,
        practice.finess,
    ]
