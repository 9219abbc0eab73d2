"""Run NFStream over a capture (or, without one, only import it), under an interpreter that has it installed."""

import sys

import nfstream

if __name__ == "__main__":
    if len(sys.argv) > 1:
        # one meter: each of several would parse the whole capture
        flows = nfstream.NFStreamer(sys.argv[1], statistical_analysis=True, n_dissections=0, n_meters=1)
        print(sum(flow.bidirectional_packets for flow in flows))
    else:
        print(nfstream.__version__)
