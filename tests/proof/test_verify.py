"""Both verifiers, ours and the one in the pack, refuse what is not what was signed (I9), and say so in a sentence."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from notifier.errors import ProofError
from notifier.model import Term
from notifier.proof.verifier import verify as standalone
from notifier.proof.verify import verify
from notifier.vault import Keys, Vault

VERIFIERS = [verify, standalone.check]
both = pytest.mark.parametrize("judge", VERIFIERS, ids=["ours", "standalone"])


def run_alone(pack, *arguments, folder):
    """The verifier out of the pack, by a bare interpreter that sees nothing of ours."""
    with zipfile.ZipFile(pack) as archive:
        program = archive.extract("verify.py", folder)
    return subprocess.run(
        [sys.executable, "-I", "-S", program, str(pack), *arguments], capture_output=True, text=True, check=False
    )


def lines_of(files):
    return files["entries.jsonl"].splitlines()


@both
def test_i1_i9_an_untouched_pack_holds(pack, signer, judge):
    verdict = judge(pack, fingerprint=signer.fingerprint)
    assert verdict.findings == []
    assert verdict.fingerprint == signer.fingerprint
    assert verdict.counts["persons"] == 16
    terms = verdict.waves["initial"]
    assert {term: count for term, count in terms.items() if count} == {
        "owed": 16,
        "confirmed": 1,
        "handed_over": 3,
        "pending": 4,
        "in_doubt": 1,
        "post": 2,
        "unmatched": 1,
        "unreachable": 3,
        "excluded": 1,
    }
    assert terms["owed"] == sum(terms[term.value] for term in Term)


def test_i9_the_verifier_in_the_pack_needs_nothing_but_python(pack, signer, tmp_path):
    done = run_alone(pack, "--fingerprint", signer.fingerprint.upper(), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HOLDS.")
    told = json.loads(run_alone(pack, "--json", folder=tmp_path).stdout)
    assert told == verify(pack).as_json()
    refused = run_alone(pack, "--fingerprint", "0" * 64, folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stdout.startswith("REFUSED")


def test_i9_the_verifier_in_the_pack_refuses_an_altered_copy(pack, tmp_path):
    altered = tmp_path / "altered.zip"
    content = bytearray(pack.read_bytes())
    content[content.index(b"entries.jsonl") + 60] ^= 4
    altered.write_bytes(content)
    program = tmp_path / "verify.py"
    program.write_bytes(Path(standalone.__file__).read_bytes())
    done = subprocess.run([sys.executable, "-I", program, altered], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("REFUSED")
    missing = subprocess.run([sys.executable, "-I", program, tmp_path / "no"], capture_output=True, check=False)
    assert missing.returncode == 2


@both
def test_i9_any_bit_flipped_anywhere_is_noticed(pack, tmp_path, judge):
    content = pack.read_bytes()
    chance = random.Random(9162)
    altered = tmp_path / "altered.zip"
    for position in sorted(chance.sample(range(len(content)), 250)):
        changed = bytearray(content)
        changed[position] ^= 1 << chance.randrange(8)
        altered.write_bytes(changed)
        verdict = judge(altered)
        assert not verdict.ok, f"byte {position} of {len(content)}"
        assert all(verdict.findings)


def test_i9_every_byte_outside_the_packed_data_counts(pack, tmp_path):
    """Headers, directory, manifest and signature, byte by byte: where a zip has room for changes nobody sees."""
    content = pack.read_bytes()
    with pack.open("rb") as file:
        members = standalone.layout(file)
    packed = set()
    for member in members[:-2]:
        packed.update(range(member.data_offset, member.data_offset + member.packed_size))
    manifest = members[-2]  # long, and one hash covers all of it: a fifth of it will do
    packed.update(at for at in range(manifest.data_offset, manifest.data_offset + manifest.size) if at % 5)
    altered = tmp_path / "altered.zip"
    outside = [position for position in range(len(content)) if position not in packed]
    assert len(outside) > 2000
    chance = random.Random(1)
    for position in outside:
        changed = bytearray(content)
        changed[position] ^= 1 << chance.randrange(8)
        altered.write_bytes(changed)
        assert not verify(altered).ok, f"byte {position} of {len(content)}"


@both
def test_i9_cut_short_or_added_to_is_noticed(pack, tmp_path, judge):
    content = pack.read_bytes()
    altered = tmp_path / "altered.zip"
    cuts = [content[:at] for at in (0, 1, 4, 30, 200, len(content) // 2, len(content) - 22, len(content) - 1)]
    for changed in [*cuts, content + b"\x00", content + content, b"\x00" + content, content[:-2] + b"\x02\x00hi"]:
        altered.write_bytes(changed)
        assert not judge(altered).ok


@both
@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[" * 100_000, b"PK", b"PK\x03\x04" + b"\xff" * 200, b"\x00" * 99]
)
def test_what_is_no_pack_is_refused_without_a_traceback(tmp_path, judge, content):
    path = tmp_path / "something"
    path.write_bytes(content)
    verdict = judge(path)
    assert not verdict.ok
    assert verdict.lines()[0].startswith("REFUSED")


def test_a_file_that_cannot_be_opened_is_the_operators_error(tmp_path):
    with pytest.raises(ProofError, match="cannot be read"):
        verify(tmp_path / "missing.zip")
    with pytest.raises(ProofError, match="cannot be read"):
        verify(tmp_path)


# -- the owner of the key lies -------------------------------------------------------------------------------------


@both
def test_a_pack_made_again_from_the_same_files_holds(files, forged, judge):
    """The control of all that follows: what `forged` makes is refused for its content, not for its form."""
    assert judge(forged(files)).findings == []


@both
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: [*lines[:4], *lines[5:]],
        lambda lines: [*lines[:4], lines[3], *lines[4:]],
        lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [],
    ],
    ids=["last dropped", "first dropped", "one dropped", "one doubled", "two swapped", "one added", "none left"],
)
def test_i9_entries_dropped_doubled_or_moved_are_noticed(files, forged, judge, change):
    lines = change(lines_of(files))
    as_they_are = b"".join(line + b"\n" for line in lines)
    numbered = b"".join(
        standalone.canonical({**json.loads(line), "index": index}).encode() + b"\n" for index, line in enumerate(lines)
    )
    for entries in (as_they_are, numbered):
        assert not judge(forged({**files, "entries.jsonl": entries})).ok


@both
def test_i9_two_salts_swapped_are_noticed(files, forged, judge):
    lines = [json.loads(line) for line in lines_of(files)]
    lines[3]["salt"], lines[4]["salt"] = lines[4]["salt"], lines[3]["salt"]
    entries = b"".join(standalone.canonical(line).encode() + b"\n" for line in lines)
    assert not judge(forged({**files, "entries.jsonl": entries})).ok


@both
def test_i9_a_pack_signed_with_another_key_fails_the_fingerprint(files, forged, signer, judge):
    other = Vault(Keys.new("test-campaign"))
    assert not judge(forged(files, other)).ok  # the checkpoints are still the first key's
    verdict = judge(forged(files), fingerprint=other.fingerprint)
    assert verdict.findings == [f"signed by {signer.fingerprint}, not by the key that you named"]


@both
def test_i9_a_rewrite_by_the_owner_of_the_key_fails_against_an_earlier_checkpoint(files, forged, rewritten, judge):
    """The whole journal made anew with the right key holds together; only what left the house earlier betrays it."""
    lines = lines_of(files)
    index = next(at for at, line in enumerate(lines) if b'"delivery_refused"' in line)
    lines[index] = lines[index].replace(b"queued as ABC", b"queued as XYZ")
    new = forged(rewritten(files, lines))
    known = story_notes(files)[0]
    assert judge(new).findings == []
    found = judge_known(judge, new, known)
    assert not found.ok
    assert "rewritten" in found.findings[0]


def story_notes(files):
    return standalone.split_notes(files["checkpoints.txt"].decode())


def judge_known(judge, pack, known):
    return judge(pack, known_checkpoint=known) if judge is verify else judge(pack, known=known)


@both
def test_i9_a_known_checkpoint_holds_whatever_was_added_since(files, forged, judge):
    first, last = story_notes(files)
    for known in (first, last):
        verdict = judge_known(judge, forged(files), known)
        assert verdict.findings == []
        assert any("that you hold" in remark for remark in verdict.remarks)


@both
@pytest.mark.parametrize("known", ["", "not a note", "notifier/x\n3\nAAAA\n\n— notifier/x AAAA\n"])
def test_i9_a_known_checkpoint_that_is_none_is_a_refusal(files, forged, judge, known):
    assert not judge_known(judge, forged(files), known).ok


@both
def test_i9_a_known_checkpoint_over_more_than_the_pack_holds_is_a_refusal(files, forged, rewritten, judge):
    last = story_notes(files)[-1]
    shorter = rewritten(files, lines_of(files)[:-1])
    assert any("rewritten" in finding for finding in judge_known(judge, forged(shorter), last).findings)


# -- the summary ---------------------------------------------------------------------------------------------------


def summary_with(files, change):
    summary = json.loads(files["summary.json"])
    change(summary)
    return {**files, "summary.json": json.dumps(summary).encode()}


def moved(one, other, *tables):
    def change(summary):
        for table in tables:
            summary["waves"][0][table][one] -= 1
            summary["waves"][0][table][other] += 1

    return change


def put(value, *path):
    def change(summary):
        for step in path[:-1]:
            summary = summary[step]
        summary[path[-1]] = value

    return change


def observed_to_the_end(summary):
    summary["as_of"] = summary["observation"]["returns_read"] = "2024-03-20T08:00:00.000Z"


@both
@pytest.mark.parametrize(
    "change",
    [
        moved("unreachable", "confirmed", "notifications", "frozen"),
        moved("in_doubt", "handed_over", "notifications", "frozen"),
        moved("pending", "handed_over", "notifications"),
        moved("pending", "excluded", "not_frozen"),
        put(17, "waves", 0, "owed"),
        put("supplement", "waves", 0, "wave"),
        put([], "waves"),
        put([], "batches"),
        put("f" * 64, "batches", 0, "digest"),
        put([], "sources"),
        put(17, "sources", 0, "rows"),
        put(0, "sources", 0, "rejections"),
        put([], "directories"),
        put(19, "bridge", "rows"),
        put(0, "bridge", "rejections"),
        put(0, "bridge", "same_person_again"),
        put(15, "bridge", "persons"),
        put(1, "bridge", "records_without_person"),
        put(3, "checkpoint", "size"),
        put("0" * 64, "checkpoint", "root"),
        observed_to_the_end,
        put("another", "format"),
        moved("unreachable", "confirmed", "notifications", "not_frozen"),  # -1 and +1: nobody was confirmed
        put("follow_up", "waves", 0, "kind"),  # a wave of that kind need not concern everybody
        put("0" * 64, "fingerprint"),
        put("another", "campaign", "id"),
        put(-5, "observation", "days"),
        put(True, "waves", 0, "not_frozen", "pending"),
        put(0, "waves", 0, "not_frozen", "delivered"),
        put(-1, "bridge", "persons_without_record"),
        put(16.0, "bridge", "persons"),
    ],
)
def test_i1_a_summary_that_says_something_else_than_the_entries_is_refused(files, forged, judge, change):
    assert not judge(forged(summary_with(files, change))).ok


def test_i1_an_account_that_does_not_balance_may_be_handed_over_but_not_hidden(files, forged):
    def change(summary):
        summary["bridge"]["same_person_again"] = 0
        summary["balances"] = False

    verdict = verify(forged(summary_with(files, change)))
    assert verdict.ok
    assert "the account does not balance, and the summary says so" in verdict.remarks


@both
def test_i9_a_summary_that_two_readers_could_read_differently_is_refused(files, forged, judge):
    twice = files["summary.json"].replace(b'"balances":', b'"balances": true,\n "balances":', 1)
    assert json.loads(twice) == json.loads(files["summary.json"])
    assert not judge(forged({**files, "summary.json": twice})).ok


# -- the texts and the files ---------------------------------------------------------------------------------------

TEXT = "templates/initial/1/templates/fr/insured.md"


@both
def test_i7_a_text_that_was_not_approved_is_refused(files, forged, judge):
    assert TEXT in files
    for altered in (
        {**files, TEXT: b"Bonjour, rien ne s'est pass\xc3\xa9.\n"},
        {name: content for name, content in files.items() if name != TEXT},
        {**files, "templates/initial/1/templates/fr/other.md": b"x"},
        {**files, "templates/initial/2/templates/fr/insured.md": files[TEXT]},
        {**files, "more.txt": b"x"},
        {name: content for name, content in files.items() if name != "LISEZMOI.txt"},
        {name: content for name, content in files.items() if name != "verify.py"},
    ):
        assert not judge(forged(altered)).ok


@both
@pytest.mark.parametrize("name", ["templates/../../x", "templates//x", "/x", "templates/a b", "../x"])
def test_a_name_that_could_lie_outside_a_folder_is_refused(files, forged, judge, name):
    assert judge(forged({**files, name: b"x"})).findings == [
        "the archive holds a file whose name could lie outside a folder"
    ]


def one_entry(files, rewritten, spell):
    """A rewrite in which one entry is spelled by ``spell``, hashed as it stands."""
    from notifier.journal.merkle import Frontier, leaf_hash

    lines, frontier = lines_of(files), Frontier()
    at = next(index for index, line in enumerate(lines) if b'"delivery_refused"' in line)
    out = []
    for index, line in enumerate(lines):
        item = json.loads(line)
        body = standalone.canonical(item["entry"])
        body = spell(body) if index == at else body
        frontier.append(leaf_hash(bytes.fromhex(item["salt"]), body.encode()))
        out.append(f'{{"entry":{body},"index":{index},"salt":"{item["salt"]}"}}\n')
    return "".join(out).encode(), frontier


@both
@pytest.mark.parametrize(
    ("spell", "holds"),
    [
        (lambda body: body, True),
        (lambda body: body.replace("queued as ABC", 'queued \\":as ABC'), True),
        (lambda body: body.replace('"kind":', '"kind":"delivery_accepted","kind":'), False),
        (lambda body: body.replace('"kind":', '"kind" :"delivery_accepted","kind":'), False),
        (lambda body: body.replace('"kind":', '"kind"\t:"delivery_accepted","kind":'), False),
        (lambda body: body.replace('"then":', '"th\\u0065n":"post","then":'), False),
        (lambda body: body.replace('"late":', '"late" :true,"late":'), False),
        (lambda body: body.replace('"kind":', '"more":1,"kind":'), False),
        (lambda body: body + " ", False),
    ],
)
def test_i9_an_entry_that_two_readers_could_read_differently_is_refused(
    files, forged, rewritten, signer, judge, spell, holds
):
    from notifier.journal.checkpoints import Checkpoint, key_name, sign_checkpoint

    entries, frontier = one_entry(files, rewritten, spell)
    checkpoint = Checkpoint(key_name(signer.campaign_id), frontier.size, frontier.root())
    summary = json.loads(files["summary.json"])
    summary["checkpoint"] = {"size": frontier.size, "root": frontier.root().hex()}
    note = sign_checkpoint(checkpoint, signer.public_key, signer.sign).note
    pack = forged(
        {
            **files,
            "entries.jsonl": entries,
            "checkpoints.txt": note.encode(),
            "summary.json": json.dumps(summary).encode(),
        }
    )
    assert judge(pack).ok is holds
