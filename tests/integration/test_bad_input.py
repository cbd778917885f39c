"""Bad input: each has a clear outcome, and nothing is deployed for any of it."""

from pathlib import Path

from local.azurite import Azurite
from tests.integration.stack import SECRET, Stack, letter, run_stack

PICTURE = b"\x89PNG\r\n\x1a\n" + SECRET.encode() + bytes(100)
UPLOADS = {
    "mail/picture.txt": (PICTURE, "a picture: run text recognition"),
    "mail/binary.txt": (SECRET.encode() + bytes(100), "binary, not plain text"),
    "mail/blank.txt": (b" \n\t", "nothing but white space"),
    "mail/large.txt": (SECRET.encode() * 300, "limits.max_document_bytes is 2,000"),
    "mial/letter.txt": (
        letter("Misdirected").encode(),
        "no deployment is called 'mial': did you mean 'mail'?",
    ),
    "letter.txt": (letter("Lost").encode(), "it lies outside any folder"),
}

LEFT_ALONE = {"mail/being-written.txt", "mail/~$letter.docx", "mail/folder/"}  # no row, no alert


def _notes(stack: Stack) -> set[str]:
    return {
        name.partition("/")[0] + "/" + note.decode()
        for name, note in stack.stored("failed").items()
        if name.endswith(".reason.txt")
    }


def test_bad_input_is_refused_and_nothing_is_deployed(tmp_path: Path, azurite: Azurite) -> None:
    """Each upload and submission that cannot be answered gets a reason, and no create is called."""
    with run_stack(tmp_path, azurite, {"mail": {}}, limits={"max_document_bytes": 2000}) as stack:
        for name, (upload, _) in UPLOADS.items():
            stack.upload(name, upload)
        for name in LEFT_ALONE:
            stack.upload(name, b"")

        submissions: list[tuple[str, str, str | bytes, int, str]] = [
            ("mail", "../letter.txt", letter("Out"), 400, "no slashes"),
            ("mail", "..", letter("Out"), 400, "not only dots"),
            ("mail", "", letter("Nameless"), 400, "X-File-Name"),
            ("mail", "x" * 1200, letter("Long"), 400, "too long"),
            ("mail", "empty.txt", b"", 400, "the file is empty"),
            ("mail", "binary.txt", bytes(100), 400, "binary, not plain text"),
            ("mail", "large.txt", SECRET * 300, 413, "limits.max_document_bytes is 2,000"),
            ("mial", "letter.txt", letter("Misdirected"), 404, "did you mean 'mail'?"),
        ]
        for deployment, name, content, status, reason in submissions:
            answer = stack.submit(deployment, name, content)
            assert (answer.status, reason in answer.json["error"]) == (status, True), answer.body
        as_curl_does = stack.submit(
            "mail", "a.txt", b"Dear all, yours", content_type="application/x-www-form-urlencoded"
        )
        assert (as_curl_does.status, "--data-binary" in as_curl_does.json["error"]) == (415, True)
        assert stack.submit("mail", "letter.txt", letter("Unknown"), key="guessed").status == 401
        assert stack.api("documents/mail~20261122T140000-0123456789abcdef").status == 404

        stack.wait("the rest has left the inbox", lambda: set(stack.stored("inbox")) == LEFT_ALONE)
        # Where event and sweep refuse a file at the same time, one of them writes its note once more.
        notes = stack.wait("a note for each", lambda: len(found := _notes(stack)) == len(UPLOADS) and found)
        for name, (_, reason) in UPLOADS.items():
            assert any(reason in note for note in notes), name
        in_mail = [name.partition("/")[2] for name in UPLOADS if name.startswith("mail/")]
        assert stack.states("mail") == {(name, "failed"): 1 for name in in_mail}

        listed = stack.api("documents?state=failed").json
        assert {(each["deployment"], each["name"]) for each in listed["documents"]} == {
            *(("mail", name) for name in in_mail),
            ("mial", "letter.txt"),
            ("_unknown", "letter.txt"),
        }
        assert stack.api("documents?stat=failed").status == 400
        counted = stack.api("deployments").json
        assert counted["deployments"][0]["failed"]["count"] == len(in_mail)
        assert counted["failed_elsewhere"]["count"] == 2

        mail = stack.deployment("mail")
        assert (mail["wanted"], mail["unfinished"]) == ("down", 0)
        assert stack.azure.bill()["arm_calls"]["mail"]["put"] == 0
        assert stack.azure.bill()["deployments"] == []
        stack.assert_log_is_discreet()
