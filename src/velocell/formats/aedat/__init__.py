"""AEDAT of version 2, 3.1 and 4 (jAER, DV): reading all, writing 4."""
