"""The explorer: pick clients, windows and features by hand, tune the bandwidth by eye, in JupyterLab.

It computes nothing of its own: the choices are in `state`, what they lead to is computed by the functions of the
package (`compute`), drawn by `toolkit.plots` (`pictures`), put into tables (`tables`), shown by widgets (`view`,
`controls`), and written as code and files (`code`, `keep`).
"""

from toolkit.widgets.explore import explore as explore
from toolkit.widgets.view import Explorer as Explorer
