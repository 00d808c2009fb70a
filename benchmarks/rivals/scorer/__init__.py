"""The scorer is a package of its own, `disk_scores`: `pip install ./benchmarks/rivals/scorer`."""
