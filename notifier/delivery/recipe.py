"""What messages are made of, besides the claims and their notices. Pure, given the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifier.campaign import Settings
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import Notice, Order, Ready, prepare_all
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

    def make(self, wanted: Sequence[tuple[Claim, Notice]]) -> list[Ready | Exception]:
        """The message of each claim with its notice, or what :func:`notifier.delivery.envelopes.prepare` raises."""
        orders: list[Order] = []
        try:
            for claim, notice in wanted:
                orders.append(Order(claim, self.settings.sender(claim.sender), notice, self.signers.get(claim.sender)))
        except Exception as error:  # no such sender: everybody's fault
            return [error for _ in wanted]
        return prepare_all(orders, self.vault, self.listed, diversion=self.diversion)
