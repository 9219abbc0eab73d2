"""How could a censor tell this traffic apart.

Packet traces in Jupyter: read captures into columns, pick clients, cut windows, compute features, cluster lengths.
The names are loaded at first use; `__init__.pyi` lists them.
"""

import lazy_loader

from toolkit._version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
