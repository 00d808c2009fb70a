"""What all tests share."""

import os
import sys

# Each process that a test starts would compile all of Velocell anew, which takes as long as the rest of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
