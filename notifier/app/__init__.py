"""Opens the resources, wires the rooms, owns the tasks. What opens here also closes here.

A command that writes begins with a `session_started` entry and ends with a sealed journal: the unsealed lag is 0 when a
command ends, however it ends short of a crash, and the next command seals what a crash left.
"""

from notifier.app.accounts import count_bridge, coverage_by, other_side, standing, write_listing
from notifier.app.delivery import open_lane, pause, resume, send, send_test
from notifier.app.doubts import accept_doubts, list_doubts, look_at_doubts, resend_doubts
from notifier.app.files import (
    FileTaken,
    Freed,
    add_sender_names,
    can_be_undone,
    free_held,
    held_file,
    held_files,
    take_directories,
    take_exports,
    undo_hold,
    undo_import,
)
from notifier.app.forgetting import forget_file, look_at_file
from notifier.app.kit import write_kit
from notifier.app.notices import (
    approve_wave,
    check_wave,
    describe_batch,
    list_notices,
    request_approval,
    write_preview,
)
from notifier.app.opened import App, open_campaign, seal, utc_now
from notifier.app.people import (
    bring_review_list,
    decide_review,
    draw_sample,
    drop_wave,
    find_identity,
    find_reference,
    judge_sample,
    list_reviews,
    look_at_review_list,
    plan_wave,
    reinstate_persons,
    withdraw_persons,
    write_hotline,
    write_review_list,
)
from notifier.app.profiles import draft_profile, try_profile
from notifier.app.proof import export_proof, person_proof
from notifier.app.rejections import (
    decide_rejections,
    is_rejection_code,
    look_at_rejections,
    rejections_standing,
    write_rejected_values,
    write_rejections_list,
)

__all__ = [
    "App",
    "FileTaken",
    "Freed",
    "accept_doubts",
    "add_sender_names",
    "approve_wave",
    "bring_review_list",
    "can_be_undone",
    "check_wave",
    "count_bridge",
    "coverage_by",
    "decide_rejections",
    "decide_review",
    "describe_batch",
    "draft_profile",
    "draw_sample",
    "drop_wave",
    "export_proof",
    "find_identity",
    "find_reference",
    "forget_file",
    "free_held",
    "held_file",
    "held_files",
    "is_rejection_code",
    "judge_sample",
    "list_doubts",
    "list_notices",
    "list_reviews",
    "look_at_doubts",
    "look_at_file",
    "look_at_rejections",
    "look_at_review_list",
    "open_campaign",
    "open_lane",
    "other_side",
    "pause",
    "person_proof",
    "plan_wave",
    "reinstate_persons",
    "rejections_standing",
    "request_approval",
    "resend_doubts",
    "resume",
    "seal",
    "send",
    "send_test",
    "standing",
    "take_directories",
    "take_exports",
    "try_profile",
    "undo_hold",
    "undo_import",
    "utc_now",
    "withdraw_persons",
    "write_hotline",
    "write_kit",
    "write_listing",
    "write_preview",
    "write_rejected_values",
    "write_rejections_list",
    "write_review_list",
]
