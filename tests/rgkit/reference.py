"""Reference values that tests and check cells are held to, each with its digits and its source."""

from dataclasses import dataclass

COMPUTED = "computed for this project"
ONSAGER = "L. Onsager, Phys. Rev. 65, 117 (1944), doi:10.1103/PhysRev.65.117"


@dataclass(frozen=True)
class Reference:
    """One reference value: `quantity` at `arguments`, exact to `digits` decimal places."""

    quantity: str
    arguments: tuple
    value: float
    digits: int
    source: str

    @property
    def tolerance(self) -> float:
        """Half a unit of the last digit, and the rounding of a few float64 operations."""
        return 0.5 * 10.0**-self.digits + 4e-16 * max(1.0, abs(self.value))


# Ising chain, weight exp(K s s' + h s); arguments (b, K, h). constant = ln A_b for each kept spin.
DECIMATION = (
    Reference("K", (2, 1.0, 0.0), 0.662501373678932, 15, COMPUTED),
    Reference("h", (2, 1.0, 0.0), 0.0, 15, COMPUTED),
    Reference("constant", (2, 1.0, 0.0), 1.355648554238877, 15, COMPUTED),
    Reference("K", (2, 1.0, 0.3), 0.641963555377187, 15, COMPUTED),
    Reference("h", (2, 1.0, 0.3), 0.588586590815393, 15, COMPUTED),
    Reference("constant", (2, 1.0, 0.3), 1.379451505863072, 15, COMPUTED),
    Reference("K", (3, 1.0, 0.0), 0.474395754689372, 15, COMPUTED),
    Reference("K", (3, 1.0, 0.3), 0.426033882678316, 15, COMPUTED),
    Reference("h", (3, 1.0, 0.3), 0.852622272420991, 15, COMPUTED),
)

# ln of the largest eigenvalue of the transfer matrix and magnetization; arguments (K, h).
CHAIN = (
    Reference("log_eigenvalue", (1.0, 0.0), 1.126928011042972, 15, COMPUTED),
    Reference("log_eigenvalue", (1.0, 0.3), 1.321052199061438, 15, COMPUTED),
    Reference("magnetization", (1.0, 0.0), 0.0, 15, COMPUTED),
    Reference("magnetization", (1.0, 0.3), 0.913819421767941, 15, COMPUTED),
    Reference("correlation_length", (1.0, 0.0), 3.671860932510951, 15, COMPUTED),
    Reference("correlation_length", (1.0, 0.3), 1.513798626555578, 15, COMPUTED),
)

# Migdal-Kadanoff, two dimensions; arguments (b,); b = 1 is the limit.
MIGDAL_KADANOFF = (
    Reference("critical_coupling", (2,), 0.304688931718003, 15, COMPUTED),
    Reference("eigenvalue", (2,), 1.678573510428322, 15, COMPUTED),
    Reference("thermal_dimension", (2,), 0.747235718928908, 15, COMPUTED),
    Reference("critical_coupling", (1,), 0.440686793509772, 15, ONSAGER),
    Reference("thermal_dimension", (1,), 0.753549519719539, 15, COMPUTED),
)


def named(table, quantity):
    """Return the rows of a table for one quantity."""
    return [row for row in table if row.quantity == quantity]
