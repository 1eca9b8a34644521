"""Hand-scheduled kernels (L2): functions from a `Nest` to statements of the loop IR, or to None.

A target lists those that it wants in `Target.kernels`. The plain loops of the same nest are what a
kernel is tested against.
"""
