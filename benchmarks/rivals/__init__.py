"""The public benchmark of moving disks and their speeds: `python -m benchmarks.rivals`."""
