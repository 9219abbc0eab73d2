"""Charts. Each takes what a tested function computed and `ax=None`, and returns the `Axes` (grids: the `Figure`).

Nothing here shows a figure or changes a setting of matplotlib.
"""

from toolkit.plots._common import COLOURS as COLOURS
from toolkit.plots._common import REST as REST
from toolkit.plots.features import plot_feature_comparison as plot_feature_comparison
from toolkit.plots.features import plot_feature_correlation as plot_feature_correlation
from toolkit.plots.lengths import colour_length_clusters as colour_length_clusters
from toolkit.plots.lengths import plot_length_bins as plot_length_bins
from toolkit.plots.lengths import plot_length_clusters as plot_length_clusters
from toolkit.plots.overview import plot_trace_overview as plot_trace_overview
from toolkit.plots.payload import plot_entropy as plot_entropy
from toolkit.plots.sweeps import plot_bandwidth_sweep as plot_bandwidth_sweep
from toolkit.plots.sweeps import plot_window_sweep as plot_window_sweep
from toolkit.plots.timeline import plot_direction_timeline as plot_direction_timeline
from toolkit.plots.timing import plot_client_pairs as plot_client_pairs
from toolkit.plots.timing import plot_interval_bins as plot_interval_bins
from toolkit.plots.timing import plot_interval_cdf as plot_interval_cdf
from toolkit.plots.timing import plot_size_sequence as plot_size_sequence
