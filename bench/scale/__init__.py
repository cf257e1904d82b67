"""What one turn costs each part of a fleet, measured, and what many machines would need, computed.

`costs.py` says what is measured, `measure.py` measures it on one machine, `model.py` computes from it and decides
nothing: docs/scaling.md states which figure is which.
"""
