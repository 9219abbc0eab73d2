"""Speed and memory of the toolkit against other tools, all measured in one run: ``python -m benchmarks --help``."""
