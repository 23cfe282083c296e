from __future__ import annotations

import pytest

from tests.delivery.rows import Rows


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)
