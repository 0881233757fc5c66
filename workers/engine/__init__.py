"""The model. torch is imported in this package and nowhere else."""

import os

# torch's OpenMP threads spin while they wait for each other, and stand still when another process has a core
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
