"""The background sandbox: one for each user, found again, and stopped when idle."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from cave_sandbox.errors import InputError, ProcessError
from cave_sandbox.process import daemon
from cave_sandbox.process.daemon import StartOptions
from cave_sandbox.process.idle import PAGE_LIMIT, IdleWatch
from cave_sandbox.process.residence import Residence
from cave_sandbox.process.serving import _read_last
from cave_sandbox.sample.build import SAMPLE_VERSION

DATA = Path(__file__).parents[2] / "data" / "one-nucleus"
SMALL = StartOptions(data=DATA)
TOKEN = "a-token-that-nobody-else-has"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A separate data folder, with a small sample instead of the generated one."""
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(tmp_path / "home"))
    residence = Residence.of_user()
    shutil.copytree(DATA, residence.sample / f"v{SAMPLE_VERSION}")
    yield residence
    daemon.stop()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_starts_once_and_is_found_again(home):
    """`status` and a second `ensure` find the sandbox that `ensure` started; after `stop`, there is
    none."""
    assert daemon.status() is None
    running = daemon.ensure()
    assert requests.get(f"{running.origin}/info/version", timeout=30).status_code == 200
    assert daemon.status() == daemon.ensure() == running
    assert daemon.stop() is True
    assert daemon.status() is None
    assert daemon.stop() is False


def test_four_processes_get_the_same(home):
    """If four processes want the sandbox at once, only one starts it."""
    script = (
        "from cave_sandbox.process.daemon import ensure\n"
        "running = ensure()\n"
        "print(running.origin, running.pid, running.token)"
    )
    callers = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {caller.communicate(timeout=120)[0] for caller in callers}
    assert len(said) == 1
    assert said.pop().startswith("http://127.0.0.1:")
    assert home.log.read_text().count("Serving at") == 1


def test_token_is_for_its_user_alone(home):
    """The token is in no argument or environment variable, and only its user can read its file."""
    running = daemon.start(StartOptions(data=DATA, token=TOKEN))
    assert running.token == TOKEN
    process = Path(f"/proc/{running.pid}")
    if process.is_dir():
        assert TOKEN.encode() not in (process / "cmdline").read_bytes()
        assert TOKEN.encode() not in (process / "environ").read_bytes()
    record = home.folder / "sandbox.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert TOKEN not in repr(running)
    assert TOKEN not in repr(StartOptions(token=TOKEN))


def test_log_has_no_token(home):
    """No request writes the token to the log, even with the token in its address."""
    running = daemon.start(StartOptions(data=DATA, token=TOKEN))
    for path in ("/info/version", "/nglstate/api/v1/1", "/nothing"):
        requests.get(
            f"{running.origin}{path}?middle_auth_token={TOKEN}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
    daemon.stop()
    assert "Ended." in home.log.read_text()
    assert TOKEN not in home.log.read_text()


def test_token_is_generated_and_checked(home):
    """The generated token is long and opens the services; a guess does not."""
    running = daemon.start(SMALL)
    assert re.fullmatch(r"[\w-]{40,}", running.token)
    address = f"{running.origin}/nglstate/api/v1/post"
    for token, status in ((running.token, 200), ("guess", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.post(address, data=b"{}", headers=headers, timeout=30).status_code == status


def test_old_links_open_after_a_restart(home):
    """Port, token and states are the same after a restart."""
    first = daemon.start(SMALL)
    headers = {"Authorization": f"Bearer {first.token}"}
    address = requests.post(
        f"{first.origin}/nglstate/api/v1/post", data=b"[7]", headers=headers, timeout=30
    ).json()
    daemon.stop()
    second = daemon.start(SMALL)
    assert (second.origin, second.token) == (first.origin, first.token)
    assert second.pid != first.pid
    assert requests.get(address, timeout=30).json() == [7]


class Stranger(http.server.BaseHTTPRequestHandler):
    """A server of another program, which records the requests it gets."""

    heard: list[str]

    def do_GET(self):
        self.heard.append(str(self.headers))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_port_that_another_has_taken(home):
    """If another program uses the port, it is not taken for the sandbox, gets no request, and is
    avoided."""
    first = daemon.start(SMALL)
    daemon.stop()
    Stranger.heard = []
    place = ("127.0.0.1", int(first.origin.rsplit(":", 1)[1]))
    with http.server.ThreadingHTTPServer(place, Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever)
        thread.start()
        try:
            assert daemon.status() is None
            second = daemon.start(SMALL)
            assert second.origin != first.origin
            assert second.token == first.token
        finally:
            stranger.shutdown()
            thread.join()
    assert Stranger.heard == []


def test_killed_process_is_noticed(home):
    """A killed sandbox counts as absent, and another one is started."""
    first = daemon.start(SMALL)
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not home.is_locked("server"))
    assert daemon.status() is None
    assert json.loads((home.folder / "sandbox.json").read_text())["pid"] == first.pid
    second = daemon.ensure()
    assert second.pid != first.pid
    assert second.origin == first.origin


def test_process_id_of_another_is_left_alone(home):
    """A leftover record that names another process never causes that process to be stopped."""
    daemon.start(SMALL)
    daemon.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        record = home.read_record()
        told = {"pid": other.pid, "origin": "http://127.0.0.1:9", "started": "", "options": {}}
        home.write_record({**record, **told})
        assert daemon.status() is None
        assert daemon.stop() is False
        assert other.poll() is None
        other.communicate(b"\n")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", (0, None)),
        ("{", (0, None)),
        ("[]", (0, None)),
        ('{"token": 7, "port": 70000}', (0, None)),
        ('{"port": "x", "token": "t"}', (0, "t")),
    ],
)
def test_nothing_is_taken_from_a_broken_record(home, text, last):
    """Whatever the record's file contains, only a port and a token that can be used are read."""
    (home.folder / "sandbox.json").write_text(text)
    assert daemon.status() is None
    assert _read_last(home) == last


def test_a_broken_record_is_no_obstacle(home):
    """A sandbox starts with what can be used of a broken record, and replaces it."""
    (home.folder / "sandbox.json").write_text('{"port": "x", "token": "t"}')
    running = daemon.start(SMALL)
    assert running.token == "t"
    assert daemon.status() == running


def test_other_options_are_not_passed_over(home):
    """Starting it with options that differ from the running sandbox's is refused."""
    running = daemon.start(StartOptions(data=DATA, row_limit=10))
    assert daemon.start(StartOptions(data=DATA, row_limit=10)) == running
    assert daemon.ensure() == running
    with pytest.raises(InputError, match="another row_limit"):
        daemon.start(StartOptions(row_limit=20))


def test_what_cannot_be_served_is_named(home, tmp_path):
    """A failed start gives the reason, and leaves nothing running."""
    with pytest.raises(InputError, match="has no tables"):
        daemon.start(StartOptions(data=tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        daemon.start(StartOptions(data=DATA, fault="nonsense"))
    assert daemon.status() is None
    assert not home.is_locked("server")


def test_crash_leads_to_the_log(home, monkeypatch):
    """If the process dies without a message, the error names the log."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ProcessError) as caught:
        daemon.start(SMALL)
    assert str(home.log) in caught.value.hint


def test_data_folder_that_cannot_be_made(tmp_path, monkeypatch):
    """If the folder cannot be created, the error names it and says what to do."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(tmp_path / "file"))
    assert daemon.status() is None
    with pytest.raises(InputError) as caught:
        daemon.ensure()
    assert "SYNGLANCER_DATA_DIR" in caught.value.hint


def test_current_folder_is_not_searched_for_modules(home, tmp_path, monkeypatch):
    """A user's file that is named like a module is not imported by the sandbox."""
    (tmp_path / "logging.py").write_text("raise SystemExit('wrong module')")
    monkeypatch.chdir(tmp_path)
    assert daemon.start(SMALL).pid


def test_ends_by_itself_and_keeps_its_place(home):
    """A sandbox without requests stops; its port and token are kept for the next one."""
    first = daemon.start(StartOptions(data=DATA, idle_minutes=0.005))
    wait_for(lambda: not home.is_locked("server"))
    assert "No requests for" in home.log.read_text()
    second = daemon.start(SMALL)
    assert (second.origin, second.token) == (first.origin, first.token)


def test_foreground_serves_until_told_to_end(home):
    """In the foreground, it prints its address, serves, and stops cleanly when told to."""
    script = (
        "from pathlib import Path\n"
        "from cave_sandbox.process.daemon import StartOptions, serve_in_foreground\n"
        f"serve_in_foreground(StartOptions(data=Path({str(DATA)!r}), token={TOKEN!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        origin = process.stdout.readline().strip()
        assert requests.get(f"{origin}/info/version", timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert TOKEN not in said
    assert daemon.status() is None


def test_process_refuses_to_be_started_by_hand():
    """The process behind the sandbox says how it should be started."""
    done = subprocess.run(
        [sys.executable, "-m", "cave_sandbox"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "synglancer sandbox start" in done.stderr


def test_finding_it_is_cheap():
    """Looking for the sandbox loads no server, table or viewer."""
    script = (
        "import sys, cave_sandbox.process.daemon as d; d.status(); "
        "print([m for m in ('tornado', 'duckdb', 'pandas', 'pyarrow', 'neuroglancer', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_requests_keep_it_awake():
    """Each request restarts the idle time."""
    watch = IdleWatch(60, now=0)
    assert not watch.is_idle(now=50, used=True, pages=0)
    assert not watch.is_idle(now=109, used=False, pages=0)
    assert watch.is_idle(now=110, used=False, pages=0)


def test_open_page_keeps_it_awake_but_not_for_ever():
    """An open page without requests counts as use, but not for ever."""
    watch = IdleWatch(60, now=0)
    for now in range(0, int(PAGE_LIMIT), 50):
        assert not watch.is_idle(now=now, used=False, pages=1)
    assert watch.is_idle(now=PAGE_LIMIT + 60, used=False, pages=1)


def test_closed_page_leaves_the_usual_time():
    """After a page is closed, the sandbox stays for as long as after a request."""
    watch = IdleWatch(60, now=0)
    assert not watch.is_idle(now=600, used=False, pages=1)
    assert not watch.is_idle(now=659, used=False, pages=0)
    assert watch.is_idle(now=660, used=False, pages=0)


def test_the_token_may_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    """An argument takes precedence over a file, and a file over the environment."""
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    monkeypatch.setenv("SYNGLANCER_SANDBOX_TOKEN", "from-the-environment")
    given = [
        StartOptions(),
        StartOptions(token_file=file),
        StartOptions(token="argument", token_file=file),
    ]
    tokens = [options.with_token().token for options in given]
    assert tokens == ["from-the-environment", "from-a-file", "argument"]


@pytest.mark.parametrize("content", [None, "", "two words"])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    """A missing or empty file, or one with more than a token, is named."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match="token file"):
        StartOptions(token_file=file).with_token()


def test_a_sandbox_in_the_background_takes_its_token_from_the_environment(home, monkeypatch):
    """The sandbox uses the token of the environment, but its process does not inherit the
    variable."""
    monkeypatch.setenv("SYNGLANCER_SANDBOX_TOKEN", TOKEN)
    running = daemon.start(SMALL)
    assert running.token == TOKEN
    environment = Path(f"/proc/{running.pid}/environ")
    if environment.is_file():
        assert TOKEN.encode() not in environment.read_bytes()
