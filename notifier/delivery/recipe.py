"""What messages are made of, besides the claims and their notices. Pure, given the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from notifier.campaign import Settings
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import Notice, Ready, prepare
from notifier.dkim import Signer
from notifier.storage.deliveries import Claim
from notifier.vault import Vault


@dataclass(frozen=True, slots=True, repr=False)
class Recipe:
    """``listed``: the public providers' domains; ``signers``: by sender's code; ``diversion``: of a rehearsal."""

    vault: Vault
    settings: Settings
    listed: frozenset[str]
    signers: Mapping[str, Signer]
    diversion: Diversion | None

    def make(self, claim: Claim, notice: Notice) -> Ready:
        """The message of a claim; :func:`notifier.delivery.envelopes.prepare` tells what it raises."""
        return prepare(
            claim, self.vault, self.settings.sender(claim.sender), notice, self.listed,
            signer=self.signers.get(claim.sender), diversion=self.diversion,
        )  # fmt: skip
