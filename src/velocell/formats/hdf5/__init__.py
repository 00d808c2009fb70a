"""HDF5 in the layouts that are in use: reading, guarded, and writing."""
