"""Renormalization group flows and the training of fully connected networks, on the same axes.

The table of contents is ``__init__.pyi``; names are imported when first used (SPEC 1).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
