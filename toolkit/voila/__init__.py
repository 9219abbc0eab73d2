"""The explorer as a page of its own: what `toolkit app` serves by Voila."""

from __future__ import annotations

import html
import json
import os
from typing import Any

from toolkit.errors import ToolkitError

CAPTURES_VARIABLE = "TOOLKIT_APP_CAPTURES"
CLIENTS_VARIABLE = "TOOLKIT_APP_CLIENTS"
"""How the notebook `app.ipynb` is told what to show: names of files are data, never pasted into code."""


def explorer() -> Any:
    """Give the explorer of the captures that the environment names, or of the packaged one of obfs4.

    Returns
    -------
    Explorer or ipywidgets.HTML
        What is wrong with a capture instead, where it cannot be read: Voila hides tracebacks, and the one who looks
        at the page may not see the terminal.
    """
    import ipywidgets  # importing the package does without it
    import traitlets

    import toolkit

    files, clients = json.loads(os.environ.get(CAPTURES_VARIABLE, "[]")), os.environ.get(CLIENTS_VARIABLE)
    try:
        return toolkit.explore(
            files or toolkit.load_example("obfs4"), **({"clients": tuple(clients.split(","))} if clients else {})
        )
    except (ToolkitError, ValueError, traitlets.TraitError) as error:
        return ipywidgets.HTML(f"<p class='toolkit-failed' role='alert'>{html.escape(str(error))}</p>")
