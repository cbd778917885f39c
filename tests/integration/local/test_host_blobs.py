"""Blob triggers, through the host as a process."""

import json
from pathlib import Path

from azure.storage.blob import ContainerClient
from host_process import HostProcess, blob_service

from local.azurite import Azurite

QUICK = ("--blob-poll-seconds", "0.2")
TRIGGER = '@app.blob_trigger(arg_name="blob", path="inbox/{name}", connection="Docs", source="EventGrid")\n'


def receipts(azurite: Azurite) -> dict[str, tuple[str, int]]:
    """Return the host's records: state and tries of each blob."""
    container = blob_service(azurite).get_container_client("azure-webjobs-hosts")
    found = [json.loads(container.download_blob(name).readall()) for name in container.list_blob_names()]
    return {receipt["blob"]: (receipt["state"], receipt["tries"]) for receipt in found}


def inbox(azurite: Azurite) -> ContainerClient:
    return blob_service(azurite).create_container("inbox")


def test_each_version_is_handed_over_once(tmp_path: Path, azurite: Azurite) -> None:
    """Blobs in folders, a late container, an overwrite and a restart: each name and ETag comes once."""
    app = (
        TRIGGER
        + """
async def uploaded(blob: func.InputStream) -> None:
    note(blob.name, blob.length, blob.read().decode(), blob.uri.rpartition("/")[2])
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        container = inbox(azurite)
        container.upload_blob("tenant/folder/å.txt", b"one")
        host.wait(lambda: host.notes == ["inbox/tenant/folder/å.txt 3 one %C3%A5.txt"])
        container.upload_blob("tenant/folder/å.txt", b"second", overwrite=True)
        host.wait(lambda: host.notes[1:] == ["inbox/tenant/folder/å.txt 6 second %C3%A5.txt"])
        assert host.stop() == 0
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        container.upload_blob("later.txt", b"3")
        host.wait(lambda: len(host.notes) > 2)
        assert host.notes[2:] == ["inbox/later.txt 1 3 later.txt"]


def test_for_an_sdk_type_the_name_comes_without_the_content(tmp_path: Path, azurite: Azurite) -> None:
    """The worker's memory does not grow with the blob; a blob that was overwritten is handed over again."""
    container = inbox(azurite)
    container.upload_blob("tenant/å.txt", b"x" * 300_000_000)
    app = (
        "from local.host.memory import peak_bytes\nfrom shared.doors.named_blob import NamedBlob\n"
        + TRIGGER
        + """
async def uploaded(blob: NamedBlob) -> None:
    note(blob.name, peak_bytes() < 300_000_000)
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        host.wait(lambda: host.notes == ["tenant/å.txt True"])
        container.upload_blob("tenant/å.txt", b"second", overwrite=True)
        host.wait(lambda: host.notes == ["tenant/å.txt True"] * 2)


def test_five_tries_then_poisoned(tmp_path: Path, azurite: Azurite) -> None:
    """A handler that always raises has five tries, one that raises twice has three; both run concurrently."""
    container = inbox(azurite)
    container.upload_blob("hopeless", b"secret text")
    container.upload_blob("flaky", b"secret text")
    app = (
        TRIGGER
        + """
def uploaded(blob: func.InputStream) -> None:
    note(blob.name)
    if noted().count(blob.name) == 1:
        while len(set(noted())) < 2:  # the first tries of both are under way together
            time.sleep(0.05)
    if blob.name == "inbox/hopeless" or noted().count(blob.name) < 3:
        raise RuntimeError("no luck")
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        host.wait(lambda: "blob='inbox/hopeless' poisoned after 5 tries" in host.output)
        host.wait(lambda: receipts(azurite).get("inbox/flaky") == ("done", 3))
        assert host.stop() == 0
        assert "secret text" not in host.output
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        container.upload_blob("flaky", b"", overwrite=True)  # a sign that the host has polled
        host.wait(lambda: host.notes.count("inbox/flaky") == 4)
        assert host.notes.count("inbox/hopeless") == 5
        assert "poisoned" not in host.output


def test_a_crash_spends_a_try(tmp_path: Path, azurite: Azurite) -> None:
    """The host dies in the first try and continues with the second; a crash in the fifth try is the last."""
    container = inbox(azurite)
    container.upload_blob("a", b"")
    app = (
        TRIGGER
        + """
async def uploaded(blob: func.InputStream) -> None:
    note(blob.name)
    if len(noted()) == 1:
        os._exit(3)
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        assert host.process.wait(30) == 3
    assert receipts(azurite) == {"inbox/a": ("started", 1)}
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        host.wait(lambda: receipts(azurite) == {"inbox/a": ("done", 2)})
        assert host.stop() == 0

    store = blob_service(azurite).get_container_client("azure-webjobs-hosts")
    (name,) = store.list_blob_names()
    crashed = {**json.loads(store.download_blob(name).readall()), "state": "started", "tries": 5}
    store.upload_blob(name, json.dumps(crashed), overwrite=True)
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        host.wait(lambda: "blob='inbox/a' poisoned after 5 tries" in host.output)
        assert host.notes == ["inbox/a", "inbox/a"]


def test_the_time_limit_cuts_every_invocation(tmp_path: Path, azurite: Azurite) -> None:
    """A handler that blocks too long restarts the host on its port; all its invocations are tried again."""
    container = inbox(azurite)
    app = (
        TRIGGER
        + """
async def uploaded(blob: func.InputStream) -> None:
    note(blob.name, "start")
    if noted().count(f"{blob.name} start") == 1:
        while len(set(noted())) < 2:
            await asyncio.sleep(0.05)
        if blob.name == "inbox/blocks":
            time.sleep(60)
        await asyncio.sleep(60)
    note(blob.name, "end")
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK, "--function-timeout", "3") as host:
        container.upload_blob("bystander", b"")
        container.upload_blob("blocks", b"")
        host.wait(lambda: sum(note.endswith("end") for note in host.notes) == 2)
        assert sorted(host.notes[2:]) == [
            *("inbox/blocks end", "inbox/blocks start", "inbox/bystander end", "inbox/bystander start")
        ]
        host.wait(lambda: set(receipts(azurite).values()) == {("done", 2)})
        assert "function=uploaded" in host.output.split("outcome=timeout")[0].splitlines()[-1]
        assert host.output.count(f"host ready {host.url}\n") == 2
        assert host.call("/admin/host/status")[0] == 200
        assert host.stop() == 0


def test_a_connection_without_a_setting(tmp_path: Path, azurite: Azurite) -> None:
    """The host ends with an error that names the setting."""
    app = TRIGGER.replace("Docs", "Elsewhere") + "def uploaded(blob: func.InputStream) -> None: ..."
    host = HostProcess(tmp_path, app, azurite)
    host.start()
    assert host.process.wait(30) == 1
    assert "set the setting Elsewhere__blobServiceUri" in host.output


def test_only_blobs_under_the_path(tmp_path: Path, azurite: Azurite) -> None:
    """A parameter matches any text, also slashes and line breaks; everything else matches only itself."""
    container = inbox(azurite)
    for name in ("new/a.txt", "new/folder/line\nbreak.txt", "new/a-txt", "old/new/a.txt"):
        container.upload_blob(name, b"")
    app = (
        TRIGGER.replace("{name}", "new/{name}.txt")
        + """
def uploaded(blob: func.InputStream) -> None:
    note(repr(blob.name))
"""
    )
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        host.wait(lambda: len(receipts(azurite)) == 2)
        assert set(receipts(azurite)) == {"inbox/new/a.txt", "inbox/new/folder/line\nbreak.txt"}
