"""The checker of types that the tests put on every call into the package."""

import beartype

# an int where a float is asked for is right, as in PEP 484
checked = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
