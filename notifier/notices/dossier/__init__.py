"""The dossier of an approval: all that is frozen, for a DPO to read and sign (docs/approval.md)."""
