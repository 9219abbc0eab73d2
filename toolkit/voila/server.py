"""The Voila server of `toolkit app`: this machine only, nothing from the internet, no kernel without its page."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila

HERE = Path(__file__).parent
NOTEBOOK = HERE / "app.ipynb"
PORT = 8866

_EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget"]
"""All that the page needs. Others that happen to be installed cost time, and may ask for what Voila has not."""


def serve(
    source: Path,
    *,
    port: int | None = None,
    token: str | None = None,
    title: str = "",
    announce: Callable[[str], None] = print,
    browser: bool = False,
) -> None:
    """Serve a notebook, or a folder of them, on 127.0.0.1 until the process is told to stop (SIGINT, SIGTERM, SIGHUP).

    Kernels work in the current directory. Each ends with its page: the page says so when it is closed or reloaded, and
    one that could not (its browser was killed) is missed within 40 s. A page that stays open keeps its kernel, however
    long nothing is done in it.

    Parameters
    ----------
    source
        The notebook or the folder.
    port
        Where to listen; by default 8866 or a free one after it.
    token
        What a request must carry; by default a new secret.
    title
        Of the page.
    announce
        Is given the address of the page, with the token, once it can be opened.
    browser
        Open it.
    """
    token = token or secrets.token_urlsafe(32)
    # the folder of the package holds voila/templates/explorer, where Voila looks for such a thing
    folders = [str(HERE.parent), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(folders)
    # jupyter_server's timeout of pings is too long for tornado, which shortens it and says so at every page
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    app = Voila(config=_configuration(port, token, title))
    app.initialize([os.fspath(source)])
    loop = IOLoop.current()

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)  # asked a second time, end at once
        loop.add_callback_from_signal(loop.stop)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    with tempfile.TemporaryDirectory(prefix="toolkit-app-") as private:

        def listening() -> None:
            url = f"http://127.0.0.1:{app.port}/?token={token}"
            announce(url)
            if browser:
                _open(url, Path(private))

        loop.add_callback(listening)  # the first thing that the loop does; Voila listens before it starts it
        app.start()


def _configuration(port: int | None, token: str, title: str) -> Config:
    def before_page(handler: Any, notebook: Any, cwd: str) -> None:
        # The page tells of its end by a request that must carry a cookie against forged requests. Voila never sets
        # that cookie where one comes in by a token, so the kernel would stay; to look at the token sets it.
        _ = handler.xsrf_token
        if title:
            notebook.metadata["title"] = title

    config = Config()
    config.Voila = Config(
        ip="127.0.0.1",
        port=port or PORT,
        port_retries=0 if port else 50,
        token=token,
        open_browser=False,  # Voila's way leaves the token out, and ends at a form that asks for it
        config_file_paths=[],  # a voila.py that lies in the current directory must not run, nor another address be set
        log_level="ERROR",
    )
    config.VoilaConfiguration = Config(
        template="explorer",
        allow_template_override="NO",
        allow_theme_override="NO",
        extension_allowlist=_EXTENSIONS,
        prelaunch_hook=before_page,
    )
    config.MappingKernelManager = Config(root_dir=os.getcwd(), cull_idle_timeout=30, cull_interval=5)
    # between the server and its kernels, where jupyter_client can (8.9 and later); else as it always was
    config.KernelManager = Config(transport_encryption="auto")
    return config


def _open(url: str, folder: Path) -> None:
    """Open a page by a file that leads to it: others can see the arguments of a browser, and the token in them."""
    page = folder / "open.html"
    page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={url}"><a href="{url}">toolkit</a>')
    with contextlib.suppress(webbrowser.Error):  # the address was printed
        webbrowser.open(page.as_uri())
