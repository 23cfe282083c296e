"""Invented names, streets, towns and mailbox domains, with every spelling worked out once.

The two operators write the same person differently: one in upper case without accents, the other with accents but
with its own idea of hyphens and apostrophes. All spellings of one name compare equal in normal form (DESIGN 7). No
name is shorter than five letters: who searches the bytes of a sealed database for them must find none by chance.
Towns and companies are invented; mailbox domains end in ``.example`` (RFC 2606), so that no drill can reach anybody.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_LIGATURES = str.maketrans({"Œ": "OE", "œ": "oe", "Æ": "AE", "æ": "ae"})


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.translate(_LIGATURES))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@dataclass(frozen=True, slots=True)
class Spelling:
    """One name four times: as the directory writes it, in bare capitals, with other separators, in a mailbox."""

    proper: str
    capitals: str
    other: str
    slug: str

    @classmethod
    def of(cls, name: str) -> Spelling:
        """``proper`` "Le Goff-d'Hœrdt" → ``capitals`` "LE GOFF-D'HOERDT", ``other`` "Le Goff d’Hœrdt"."""
        plain = _without_accents(name)
        slug = "-".join(plain.lower().replace("'", "-").replace(" ", "-").split("-"))
        return cls(name, plain.upper(), name.replace("-", " ").replace("'", "’"), slug)


def _spellings(names: str) -> tuple[Spelling, ...]:
    return tuple(Spelling.of(name.strip()) for name in names.split(","))


SURNAMES = _spellings(
    "Abadie, Alègre, Amiot, Arnoux, Astier, Aubry, Bailleul, Barthélemy, Bégué, Bellanger, Béranger, Besnard, "
    "Blanchet, Boisson, Bonnefoy, Boulé, Bourgoin, Brémond, Caillaud, Capdevielle, Castaing, Chabrol, Charrier, "
    "Chauvet, Chênevière, Claudel, Coëtquen, Combes, Cordier, Courtois, Crépin, D'Aubigny, Dauphin, De La "
    "Fontenelle, Delcourt, Descamps, D'Hérouville, Drouet, Du Bellay-Forêt, Dufrêne, Dumoulin, Duquesnoy, "
    "Escoffier, Estève, Faivre, Ferrière, Fontanel, Fraïsse, Gachet, Garrigue, Gaudin, Gélinas, Germain, "
    "Giraudet, Gœury, Goujon, Grandclément, Guéguen, Guérin-Lacaze, Guichard, Hamon, Hébrard, Hœrdt, Huguenin, "
    "Imbert, Jacquemin, Jégou, Jolivet, Kergoat, L'Hermitte, Labbé, Lacroix-Morin, Laffitte, Lamarque, Landais, Le "
    "Bihan, Le Goff, Lebrun, Lefèvre, Legendre, Lépine, Lhuillier, Loiseau, Mahéas, Maillard, Marchetti, Marquet, "
    "Mercœur, Ménard, Meunier, Montagné, Moreau-Petitjean, Naudin, N'Diaye, Noëllet, Orsini, Ouvrard, Pagès, "
    "Pasquier, Péchard, Perrault, Pélissier, Piétri, Poincelet, Prigent, Quéméner, Quesnel, Ravel, Régnier, "
    "Ribeyre, Rocheteau, Roussel, Saint-Amand, Santoni, Sauvage, Séguin, Taillefer, Tanguy, Tessèdre, Thévenot, "
    "Tréhet, Vacher, Valéry, Vasseur, Verdier, Vignaud, Villeneuve-Blay, Weiss, Yvonnet, Zeller"
)
FORENAMES_1 = _spellings(
    "Adrien, Alexis, André, Anselme, Antonin, Aurélien, Baptiste, Benoît, Bruno, Cédric, Clément, Cyprien, "
    "Damien, Denis, Édouard, Émile, Étienne, Fabien, François, Frédéric, Gaëtan, Gérard, Grégoire, Guénolé, Hervé, "
    "Hugues, Isidore, Jean-Baptiste, Jean-Noël, Jérôme, Joachim, Julien, Kévin, Léonard, Loïck, Lucien, Macéo, "
    "Marc-Antoine, Mathéo, Maëlan, Michel, Nathanaël, Noham, Octave, Olivier, Pascal, Paul-Émile, Pierre-Yves, "
    "Quentin, Raphaël, Régis, Renaud, Romain, Sébastien, Stéphane, Théodore, Thibault, Valère, Vincent, Yannick, "
    "Zacharie"
)
FORENAMES_2 = _spellings(
    "Adèle, Agnès, Aïcha, Alizée, Amélie, Anaïs, Anne-Zoé, Apolline, Aurore, Béatrice, Brigitte, Camille, Cécile, "
    "Chloé, Clémence, Colette, Danièle, Delphine, Désirée, Éléonore, Élise, Émilie, Estelle, Eugénie, Fanny, "
    "Flavie, Gaëlle, Geneviève, Hélène, Héloïse, Inaya, Isaure, Jeanne, Joséphine, Juliette, Laëtitia, Léana, "
    "Line-Rose, Lucie, Maëlys, Margaux, Marie-Hélène, Marie-Laure, Mélanie, Muriel, Nadège, Noémie, Océane, "
    "Odile, Pénélope, Rose-Marie, Sandrine, Ségolène, Solène, Sylvie, Thérèse, Ursule, Valérie, Véronique, "
    "Yaëlle, Zélie"
)
FORENAMES = {1: FORENAMES_1, 2: FORENAMES_2}

TOWNS = (
    "Clairval", "Montfleury-sur-Orge", "Saint-Aubin-le-Vieux", "Valbrune", "L'Isle-aux-Moines-Gris", "Château-Lérac",
    "Villeneuve-d'Aspre", "Les Échelles-Hautes", "Pont-à-Merle", "Rochebelle-en-Forêt", "Œuilly-la-Grande",
    "Mérignac-le-Sec",
)  # fmt: skip
STREETS = (
    "rue des Tilleuls", "avenue du Général-Mercier", "place de l'Église", "chemin des Vignes",
    "boulevard de la Liberté",
    "impasse du Moulin", "rue de l'Abbé-Grégoire", "allée des Érables", "quai du Vieux-Port", "route de Clairval",
)  # fmt: skip
COMPLEMENTS = ("Bât. B", "Appt 12", "Résidence Les Chênes", "2e étage", "Lieu-dit Le Grand Pré")

MAILBOX_DOMAINS = (
    "boite-orange.example", "boite-orange.example", "courriel.example", "courriel.example", "courriel.example",
    "libre-acces.example", "poste-en-ligne.example", "messagerie-sud.example", "fai-rouge.example",
    "petit-domaine.example",
)  # fmt: skip
AGENCY_MAILBOX = "agence@clairval.example"
PRACTICE_DOMAINS = ("officine.example", "cabinet-sante.example", "boite-orange.example", "courriel.example")

INSURERS_VIAMEDIS = ("MUTUELLE CLAIRVAL", "Mutuelle Clairval – Santé", "MUT. CLAIRVAL")
INSURERS_ALMERYS = ("Mutuelle Clairval", "Mutuelle Clairval (Santé)")
INSURER_DIRECTORY = "Mutuelle Clairval"
GUARANTEES = (
    "Équilibre 1", "Équilibre 2", "Sérénité – optique & dentaire", '"Hospitalisation 100 %; optique"', "Œil et dents +",
    "Essentielle", '"Formule ""Famille"""',
)  # fmt: skip
"""As the cell stands in the CSV file: values with a separator or a quote are quoted (RFC 4180)."""

PRACTICES = {
    "Pharmacien": ("Pharmacie", "Officine"),
    "Opticien-lunetier": ("Optique", "Lunetterie"),
    "Audioprothésiste": ("Audition", "Centre auditif"),
    "Chirurgien-dentiste": ("Cabinet dentaire", "SELARL dentaire"),
}
