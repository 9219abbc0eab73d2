"""`toolkit lab` and `toolkit app`, started as one starts them: who can reach them, and what is left when they end."""

from __future__ import annotations

import contextlib
import http.cookiejar
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_bench import clean_environment, free_port, missing
from click.testing import CliRunner

import toolkit
from toolkit.cli import main

OBFS4 = toolkit.example("obfs4").path
CHOSEN = "10.77.0.12"


class Started:
    """A command in the foreground of a session of its own, in a new folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "toolkit", *arguments, "--no-browser", "--port", str(self.port)],
                cwd=folder,
                env=clean_environment(folder.parent / f"{folder.name}-home"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # one that is started in the background of a script leaves SIGINT alone, and so would its children
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
            )
        self.url = self._find_url()
        if arguments[0] == "lab":  # it prints its address before it listens there, and before it heeds a signal
            wait_until(lambda: listening([self.process.pid]) != set(), 30)

    def _find_url(self) -> str:
        pattern = re.compile(rf"http://127\.0\.0\.1:{self.port}/\S*\?token=\S+")
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if found := pattern.search(self.said()):
                return found[0]
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(self.said())

    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def descendants(self) -> list[int]:
        """Give the processes that it started, whatever their session."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                parents[int(status.parent.name)] = int(re.search(r"^PPid:\s+(\d+)", status.read_text(), re.M)[1])
        found = {self.process.pid}
        while more := {child for child, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found - {self.process.pid})

    def kernels(self) -> list[int]:
        kernels = []
        for pid in self.descendants():
            with contextlib.suppress(OSError):
                if b"ipykernel_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    kernels.append(pid)
        return kernels

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def kill(self) -> None:
        """End what is left of it: first by asking, so that it clears away its files."""
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(signal.SIGTERM)
        for pid in [*self.descendants(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def starting(parent: Path) -> Iterator[Callable[..., Started]]:
    """Start commands; at the end nothing of them is left."""
    running = []

    def begin(*arguments: str, folder: str = "work") -> Started:
        module = {"lab": "jupyterlab", "app": "voila"}[arguments[0]]
        if importlib.util.find_spec(module) is None:
            missing(module)
        running.append(Started(parent / folder, *arguments))
        return running[-1]

    yield begin
    for each in running:
        each.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start a command; at the end of the test nothing of it is left."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def abandoned(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Started, float]]:
    """Give an app whose page went without a word, and when. The first test begins it, the last one sees what became."""
    with starting(tmp_path_factory.mktemp("abandoned")) as begin:
        app = begin("app", str(OBFS4))
        context = browser.new_context()
        page = context.new_page()
        page.goto(app.url, wait_until="commit")
        page.locator("img.toolkit-picture").wait_for(timeout=60_000)
        context.close()
        yield app, time.monotonic()


@pytest.fixture
def expect() -> Any:
    return pytest.importorskip("playwright.sync_api").expect


def fetch(url: str) -> tuple[int, str]:
    """Get a page as a browser that keeps cookies for this request only."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    try:
        with opener.open(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Give the addresses where these processes listen: IPv4 as it is written, IPv6 as hexadecimal digits."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    inodes.add(found[1])
    addresses = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, port = fields[1].split(":")
                if name == "tcp":
                    host = ".".join(str(byte) for byte in bytes.fromhex(host)[::-1])
                addresses.add((host, int(port, 16)))
    return addresses


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began


def gone(pid: int) -> bool:
    """Say whether a process has ended, be it that nobody has asked for its exit code."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def root() -> list[str]:
    return ["--allow-root"] if os.geteuid() == 0 else []


def sources(notebook: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text("utf-8"))["cells"]]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux only: looks into /proc")
class TestApp:
    def test_a_page_that_was_not_closed_keeps_its_kernel_for_now(self, abandoned: tuple[Started, float]) -> None:
        assert len(abandoned[0].kernels()) == 1

    def test_serves_this_machine_with_the_token_and_ends_with_its_kernel(self, start: Callable[..., Started]) -> None:
        app = start("app", str(OBFS4), "-c", CHOSEN)
        assert app.said() == f"{app.url}\nCtrl-C ends it\n"
        assert listening([app.process.pid]) == {("127.0.0.1", app.port)}
        bare = app.url.split("?")[0]
        assert "obfs4" not in fetch(bare)[1]  # the form that asks for the token
        assert "obfs4" not in fetch(f"{bare}?token=wrong")[1]
        assert app.kernels() == []
        status, text = fetch(app.url)
        assert status == 200
        assert "<title>obfs4.pcap – toolkit</title>" in text
        assert "application/vnd.jupyter.widget-view+json" in text
        kernels = app.kernels()
        assert len(kernels) == 1
        assert all(host == "127.0.0.1" for host, _ in listening([app.process.pid, *app.descendants()]))
        assert os.readlink(f"/proc/{kernels[0]}/cwd") == str(app.folder)  # what is saved is found where one started it
        assert app.end() == 0
        wait_until(lambda: gone(kernels[0]), 5)
        assert list(app.folder.iterdir()) == []

    def test_in_a_browser(self, start: Callable[..., Started], page: Any, expect: Any) -> None:
        app = start("app", str(OBFS4), "-c", CHOSEN)
        page.goto(app.url, wait_until="commit")
        picture = page.locator("img.toolkit-picture")
        expect(picture).to_have_attribute("alt", re.compile(f"^lengths of obfs4, clients {CHOSEN},"), timeout=60_000)
        page.get_by_role("tab", name="Entropy", exact=True).click()
        expect(picture).to_have_attribute("alt", re.compile("^entropy of obfs4"))
        first = app.kernels()
        assert len(first) == 1
        # loaded again, the page has a new kernel, and the one before has ended
        page.reload(wait_until="commit")
        expect(picture).to_have_attribute("alt", re.compile("^lengths of obfs4"), timeout=60_000)
        wait_until(lambda: len(app.kernels()) == 1, 10)
        assert app.kernels() != first
        page.close(run_before_unload=True)
        wait_until(lambda: app.kernels() == [], 10)
        assert app.end() == 0

    def test_names_are_data(self, start: Callable[..., Started], tmp_path: Path) -> None:
        name = "a'\"<b>{{7*7}}\\ $(id).pcap"
        shutil.copy(OBFS4, tmp_path / name)
        app = start("app", f"../{name}")
        text = fetch(app.url)[1]
        assert "<title>a'\"&lt;b&gt;{{7*7}}\\ $(id).pcap – toolkit</title>" in text
        assert "application/vnd.jupyter.widget-view+json" in text
        assert "toolkit-failed" not in text

    def test_several_captures(self, start: Callable[..., Started], page: Any, expect: Any) -> None:
        app = start("app", str(OBFS4), str(toolkit.example("https").path))
        page.goto(app.url, wait_until="commit")
        compared = page.get_by_label("Compared with").locator("option")
        expect(compared).to_have_text(["https"], timeout=60_000)
        assert page.title() == "obfs4.pcap, https.pcap – toolkit"

    def test_a_configuration_in_the_folder_opens_nothing(self, start: Callable[..., Started], tmp_path: Path) -> None:
        work = tmp_path / "work"
        work.mkdir()
        (work / "voila.json").write_text('{"Voila": {"ip": "0.0.0.0"}}')
        (work / "voila.py").write_text("open('ran', 'w').close()\nc.Voila.ip = '0.0.0.0'\n")
        app = start("app")
        assert listening([app.process.pid]) == {("127.0.0.1", app.port)}
        assert not (work / "ran").exists()

    def test_what_cannot_be_read_is_said_on_the_page(
        self, start: Callable[..., Started], tmp_path: Path, page: Any, expect: Any
    ) -> None:
        (tmp_path / "no.pcap").write_text("not a capture")
        app = start("app", "../no.pcap")
        page.goto(app.url, wait_until="commit")
        expect(page.get_by_role("alert")).to_contain_text("no.pcap", timeout=60_000)
        expect(page.get_by_role("alert")).to_contain_text("expected a pcap or pcapng capture")
        page.close(run_before_unload=True)
        wait_until(lambda: app.kernels() == [], 10)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux only: looks into /proc")
class TestLab:
    def test_serves_this_machine_and_runs(self, start: Callable[..., Started], page: Any, expect: Any) -> None:
        lab = start("lab", str(OBFS4), *root())
        notebook = lab.folder / "explore-obfs4.ipynb"
        assert sources(notebook) == ["import toolkit", f"toolkit.explore({str(OBFS4)!r})"]
        assert notebook.name in lab.url
        assert listening([lab.process.pid]) == {("127.0.0.1", lab.port)}
        status, text = fetch(lab.url)
        assert status == 200
        assert "jupyter-config-data" in text
        assert fetch(f"http://127.0.0.1:{lab.port}/api/contents")[0] == 403
        page.goto(lab.url, wait_until="domcontentloaded")
        page.locator(".jp-Notebook .jp-Cell").nth(1).click(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        alt = re.compile("^lengths of obfs4")
        expect(page.locator("img.toolkit-picture")).to_have_attribute("alt", alt, timeout=60_000)
        kernels = lab.kernels()
        assert len(kernels) == 1
        page.close()  # as it would complain of a server that has gone
        assert lab.kernels() == kernels  # it can be opened again: what was computed is kept
        assert lab.end() == 0
        wait_until(lambda: gone(kernels[0]), 5)

    def test_several_captures(self, start: Callable[..., Started], tmp_path: Path) -> None:
        folder = tmp_path / "notes"
        folder.mkdir()
        for name in ("one.pcap", "two's.pcap"):
            shutil.copy(OBFS4, folder / name)
        lab = start("lab", "../notes/one.pcap", "../notes/two's.pcap", "--folder", "../notes", *root())
        call = """toolkit.explore(['one.pcap', "two's.pcap"])"""
        assert sources(folder / "explore-one.ipynb") == ["import toolkit", call]
        assert lab.end() == 0

    def test_a_notebook_that_is_there_stays(self, start: Callable[..., Started], tmp_path: Path) -> None:
        folder = tmp_path / "notes"
        folder.mkdir()
        shutil.copy(OBFS4, folder / "mine.pcap")
        lab = start("lab", "../notes/mine.pcap", "--folder", "../notes", *root())
        notebook = folder / "explore-mine.ipynb"
        assert sources(notebook) == ["import toolkit", "toolkit.explore('mine.pcap')"]  # may be moved with it
        assert lab.end() == 0
        before = notebook.read_bytes()
        (tmp_path / "other").mkdir()
        shutil.copy(OBFS4, tmp_path / "other" / "mine.pcap")
        again = start("lab", "../other/mine.pcap", "--folder", "../notes", *root(), folder="second")
        assert notebook.read_bytes() == before
        assert f"{notebook} is there already, and is opened as it is" in again.said()
        assert f"warning: {tmp_path}/other/mine.pcap is not in it" in again.said()


@pytest.mark.parametrize("command", ["lab", "app"])
def test_what_is_no_file(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, found in (("no.pcap", "no such file"), (".", "a directory")):
        result = CliRunner().invoke(main, [command, name])
        assert result.exit_code == 1
        assert result.stderr == f"Error: {name}: expected a capture file, found {found}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "module", "message"),
    [
        ("lab", "jupyterlab", "JupyterLab is not installed: pip install 'traffic-toolkit[notebooks]'"),
        ("app", "voila", "Voila is not installed: pip install 'traffic-toolkit[app]'"),
    ],
)
def test_where_it_is_not_installed(
    command: str, module: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [command, str(OBFS4)])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_was_not_closed_is_missed(abandoned: tuple[Started, float]) -> None:
    app, since = abandoned
    wait_until(lambda: app.kernels() == [], 60 - (time.monotonic() - since))
    assert fetch(app.url)[0] == 200  # it serves on
    assert app.end(signal.SIGTERM) == 0
