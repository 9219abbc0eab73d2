from .capture.reader import read as read
from .errors import CaptureError as CaptureError
from .errors import CaptureWarning as CaptureWarning
from .errors import ToolkitError as ToolkitError
from .trace import NoClientError as NoClientError
from .trace import Source as Source
from .trace import Trace as Trace
from .trace import concat as concat

__version__: str
