"""The explorer: pick clients, windows and features by hand, tune the bandwidth by eye, in JupyterLab.

It computes nothing of its own: the choices are in `state`, what they lead to is computed by the functions of the
package (`compute`), drawn by `toolkit.plots` (`pictures`), shown by widgets (`view`), and written as code (`code`).
"""

from toolkit.widgets.view import Explorer as Explorer
from toolkit.widgets.view import explore as explore
