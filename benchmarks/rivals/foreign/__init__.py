"""Published code of other people, run as they wrote it; `python -m benchmarks.rivals.foreign` makes what it needs.

Nothing of theirs is in this tree. Each runs in an environment of its own under a cache folder, in a process of its own
that reads a plain file of events and writes rows (`children/`, which are ours and use their public interface only).
"""
