"""Real servers and a real browser: JupyterLab and Voila on free ports, Debian's Chromium, and no way to elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--force-device-scale-factor=1",
    # no name resolves: what a page wants from elsewhere fails at once, and is recorded
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # every cell stays in the page
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
HOMES = {
    "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
}  # fmt: skip


LAB = [
    sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token={token}",
    "--ServerApp.root_dir={root}", "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
    "--ServerApp.terminals_enabled=False", "--expose-app-in-browser",
]  # fmt: skip
"""Starts JupyterLab."""


def clean_environment(home: Path) -> dict[str, str]:
    """Make a home without anybody's settings, and what leads Jupyter there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    for name, folder in HOMES.items():
        (home / folder).mkdir(parents=True)
        environment[name] = str(home / folder)
    (home / "config" / "labconfig").mkdir()
    (home / "config" / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    return environment


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """A server in a process group and a home of its own, which end with it.

    Attributes
    ----------
    url, token
        Where it answers, and what it wants to see.
    root
        Folder of its notebooks.
    """

    def __init__(self, home: Path, command: list[str], health: str) -> None:
        self.token = secrets.token_hex(16)
        self.root = home / "notebooks"
        self.root.mkdir(parents=True)
        environment = clean_environment(home)
        for _ in range(3):  # another process may take the port first
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            filled = [word.format(port=port, token=self.token, root=self.root) for word in command]
            with (home / "log").open("ab") as log:
                self.process = subprocess.Popen(
                    filled, cwd=self.root, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            if self._answers(health):
                return
            self.stop()
        raise RuntimeError((home / "log").read_text()[-3000:])

    def _answers(self, health: str) -> bool:
        end = time.monotonic() + 60
        request = urllib.request.Request(self.url + health, headers={"Authorization": f"token {self.token}"})
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 200:
                    return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """End it with its kernels."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def missing(what: str) -> None:
    """Skip, or fail where everything must run."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab."""
    if importlib.util.find_spec("jupyterlab") is None:
        missing("jupyterlab")
    server = Server(tmp_path_factory.mktemp("lab"), LAB, "/api/status")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def voila(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Voila as `toolkit app` has it, on a folder of notebooks."""
    if importlib.util.find_spec("voila") is None:
        missing("voila")
    command = "import pathlib, sys; from toolkit.voila.server import serve; serve(pathlib.Path(sys.argv[1]), "
    server = Server(
        tmp_path_factory.mktemp("voila"),
        [sys.executable, "-c", command + "port=int(sys.argv[2]), token=sys.argv[3])", "{root}", "{port}", "{token}"],
        "/login",  # any other page would start a kernel
    )
    yield server
    server.stop()


# Of a module and not of the session: as long as Playwright is there, its event loop is the one that runs, and every
# test after it that calls asyncio.run would fail.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, once for the tests of a module."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if not Path(CHROMIUM).exists():
        missing("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=60_000)
        yield started
        started.close()


@contextlib.contextmanager
def opened_page(browser: Any) -> Iterator[Any]:
    """Give a page with cookies of its own; at its end, fail if it wanted anything from elsewhere or complained."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 1000}, permissions=["clipboard-read", "clipboard-write"]
    )
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    elsewhere: list[str] = []
    complaints: list[str] = []
    here = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")
    # of the context: a page that is opened by a page is watched as well
    context.on("request", lambda request: None if request.url.startswith(here) else elsewhere.append(request.url))
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    opened.elsewhere, opened.complaints = elsewhere, complaints
    try:
        yield opened
    finally:
        context.close()
    assert not elsewhere, f"asked for from elsewhere: {elsewhere}"
    assert not complaints, f"the page complained: {complaints}"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Give a page, and fail the test if it wanted anything from elsewhere or complained."""
    with opened_page(browser) as opened:
        yield opened
