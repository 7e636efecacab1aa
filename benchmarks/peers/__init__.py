"""Recurrent layers timed against everything else that a user could pick; see ../README.md.

The files named ``*_worker.py``, and `worker` and `memory` below them, run in the peers' own
environments and need NumPy and their framework only; all others run in that of sunhwan.
"""
