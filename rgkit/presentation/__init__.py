"""What the book shows: charts, and the tables of stored sweeps; imported when first used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["charts", "sources", "sweeps"]
)
