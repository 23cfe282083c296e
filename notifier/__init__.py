"""notifier: inform each person affected by a data breach, individually, and prove it (GDPR Art. 34).

The walk, in the order of the rooms:

    export ─▶ intake ─▶ people ─▶ notices ─▶ delivery ─▶ bounces ─▶ post
              records   persons   the right   accepted,   what came   letters for
              rejected  matched   text for    deferred,   back        whom e-mail
              rows      to a      audience ×  refused,                cannot reach
                        contact   exposures   in doubt

Every step writes to the ``journal``; ``proof`` is the journal made portable and checkable.
Arrows between modules: ``cli → app → rooms → storage → model`` (kept true by an import contract).
"""
