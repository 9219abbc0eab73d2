"""Read a capture and compute its features, when told to, in a process whose memory the parent watches."""

import gc
import sys
import time

import toolkit

if __name__ == "__main__":
    warm_up, path, clients, passes = sys.argv[1:]

    def features(capture: str) -> object:
        return toolkit.client_features(toolkit.read(capture), clients)

    features(warm_up)
    gc.collect()
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = []
    for _ in range(int(passes)):
        start = time.process_time()
        table = features(path)
        seconds.append(time.process_time() - start)
        del table
    print(*seconds, flush=True)
