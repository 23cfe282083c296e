"""Erasing a file received by error, with its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, utc_now

if TYPE_CHECKING:
    from notifier.people.forgetting import Forgotten, Glance


async def look_at_file(app: App, sha256: str) -> Glance:
    """What `forget_file` would take, before anybody is asked. Raises OperatorError where it would."""
    from notifier.people.forgetting import look
    from notifier.storage.forgetting import must_have_room

    must_have_room(app.database.path)
    return await look(app.database, sha256)


async def forget_file(app: App, sha256: str) -> tuple[Forgotten, list[Path]]:
    """Delete all that came from a file received by error, and issue the certificate; the paths of those issued now.
    In this order, so that a certificate never says what was not done; run again, it does what a crash left undone.
    Raises OperatorError, TryLater when another program keeps the database open."""
    from notifier.intake import leftovers
    from notifier.intake.clear_values import remove_values
    from notifier.intake.staging import alone
    from notifier.people.forgetting import forget
    from notifier.people.review_lists import remove_lists
    from notifier.proof.certificates import is_issued, issue
    from notifier.storage import forgetting
    from notifier.storage.lock import sender_lock

    with alone(app.folder), sender_lock(app.folder, utc_now()):
        forgotten = await forget(app.database, app.vault, sha256, by=app.by, now=utc_now())
        numbered = list(enumerate(forgotten.bodies, start=1))
        missing = [each for each in numbered if not is_issued(app.folder, app.vault, each[1], each[0])]
        if forgotten.already and not missing:
            return forgotten, []
        await remove_values(app.database, app.folder, forgotten.sha256, by=app.by, now=utc_now())
        await remove_lists(app.database, app.folder, by=app.by, now=utc_now())
        leftovers.remove(app.folder, forgotten.sha256)
        await forgetting.scrub(app.database.path)
        return forgotten, [issue(app.folder, app.vault, body, number) for number, body in missing]
