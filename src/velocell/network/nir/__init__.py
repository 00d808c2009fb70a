"""A Network as a graph of NIR, the Neuromorphic Intermediate Representation, and back.

`graph.py` has the neutral graph, one Conv2d and one LIF a layer, and reads it; `dialects.py` what single frameworks
demand instead, and why; `portable.py` the form of a network that all of them run alike; `file.py` the HDF5 file;
`meta.py` what a graph cannot say; `needs.py` what has to be installed.
"""
