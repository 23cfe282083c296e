"""The exercise: a whole campaign rehearsed with invented persons, marked EXERCICE, with a report at its end (ANSSI)."""
