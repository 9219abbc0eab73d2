"""Read a capture and, given clients, compute its features, in a process whose memory the parent watches."""

import gc
import sys
import time

import toolkit


def _features(path: str, clients: str) -> object:
    trace = toolkit.read(path)
    return toolkit.client_features(trace, clients) if clients else trace


if __name__ == "__main__":
    warm_up, path, clients, passes = sys.argv[1:]
    _features(warm_up, clients)
    gc.collect()
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = []
    for _ in range(int(passes)):
        start = time.process_time()
        table = _features(path, clients)
        seconds.append(time.process_time() - start)
        del table
    print(*seconds, flush=True)
