"""Benchmarks: speed (`engine`) and accuracy (`accuracy`). Each is one command that anyone can run."""
