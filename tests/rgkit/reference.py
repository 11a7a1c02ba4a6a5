"""Reference values that tests and check cells are held to, each with its digits and its source."""

import math
from dataclasses import dataclass

COMPUTED = "computed for this project"
MEURICE = "computed for this project; Y. Meurice, J. Phys. A 40, R39 (2007), arXiv:hep-th/0701191"
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

# Dyson's hierarchical model, three dimensions, Ising spins at the start;
# gamma = ln(2/c)/ln lambda_1, c = 2^(1/3).
HIERARCHICAL = (
    Reference("critical_beta", (3,), 1.1790301704462697, 16, MEURICE),
    Reference("eigenvalue", (3,), 1.427172478177593680, 15, MEURICE),
    Reference("gamma", (3,), 1.299140730158595389, 15, MEURICE),
)

# Local potential approximation, Litim's regulator, d = 3, about the minimum;
# arguments (order,), math.inf the limit.
LITERATURE_LPA = (
    "C. Bervillier, A. Juettner, D. F. Litim, Nucl. Phys. B 783, 213 (2007), arXiv:hep-th/0701172"
)
LOCAL_POTENTIAL = (
    Reference("nu", (2,), 0.5, 11, COMPUTED),
    Reference("kappa", (2,), 1.333333333333, 12, COMPUTED),
    Reference("omega", (2,), 0.333333333333, 12, COMPUTED),
    Reference("nu", (3,), 0.72899240599, 11, COMPUTED),
    Reference("omega", (3,), 1.075, 3, COMPUTED),
    Reference("imaginary_omega", (3,), 0.902, 3, COMPUTED),
    Reference("nu", (4,), 0.65057379451, 11, COMPUTED),
    Reference("nu", (5,), 0.64469077659, 11, COMPUTED),
    Reference("nu", (6,), 0.64984699645, 11, COMPUTED),
    Reference("nu", (7,), 0.65003092248, 11, COMPUTED),
    Reference("nu", (8,), 0.64948070657, 11, COMPUTED),
    Reference("nu", (9,), 0.64951855781, 11, COMPUTED),
    Reference("nu", (10,), 0.64957646576, 11, COMPUTED),
    Reference("omega", (10,), 0.6557955, 7, COMPUTED),
    Reference("nu", (11,), 0.64956480686, 11, COMPUTED),
    Reference("nu", (12,), 0.64955960180, 11, COMPUTED),
    Reference("nu", (13,), 0.64956177199, 11, COMPUTED),
    Reference("nu", (14,), 0.64956204873, 11, COMPUTED),
    Reference("nu", (15,), 0.64956171403, 11, COMPUTED),
    Reference("omega", (15,), 0.65574387400, 11, COMPUTED),
    Reference("nu", (math.inf,), 0.649561773880648, 15, LITERATURE_LPA),
    Reference("omega", (math.inf,), 0.655745939193, 12, LITERATURE_LPA),
    Reference("omega_2", (math.inf,), 3.180006512, 9, LITERATURE_LPA),
    Reference("slope_at_origin", (math.inf,), -0.186064249470, 12, LITERATURE_LPA),
    Reference("kappa", (math.inf,), 1.814898403688, 12, LITERATURE_LPA),
)


# phi^4 chain, weight prod exp(-(x-y)^2/2 - r x^2/2 - u x^4), that is K = 1 and r + 2 here;
# arguments (r, u).
FIELD_CHAIN = (
    Reference("log_eigenvalue", (1, 0), 0.43772670814507, 14, COMPUTED),
    Reference("ratio", (1, 0), 0.38196601125010, 14, COMPUTED),
    Reference("second_moment", (1, 0), 0.44721359549996, 14, COMPUTED),
    Reference("fourth_moment", (1, 0), 0.6, 14, COMPUTED),
    Reference("log_eigenvalue", (1, 1), 0.22643480951712, 14, COMPUTED),
    Reference("ratio", (1, 1), 0.20402612961044, 14, COMPUTED),
    Reference("second_moment", (1, 1), 0.21250095536596, 14, COMPUTED),
    Reference("fourth_moment", (1, 1), 0.1123014008058, 13, COMPUTED),
    Reference("log_eigenvalue", (0, 1), 0.34255719463860, 14, COMPUTED),
    Reference("ratio", (0, 1), 0.24028283507204, 14, COMPUTED),
    Reference("second_moment", (0, 1), 0.25406028968222, 14, COMPUTED),
    Reference("fourth_moment", (0, 1), 0.1534904735813, 13, COMPUTED),
)

# Levels of the quantum oscillator p^2 + a x^2 + x^4; arguments (a, level).
OSCILLATOR = (
    Reference("energy", (0, 0), 1.060362090484182899647, 15, COMPUTED),
    Reference("energy", (0, 1), 3.799673029801394, 15, COMPUTED),
    Reference("energy", (1, 0), 1.392351641530291856, 15, COMPUTED),
)


def named(table, quantity):
    """Return the rows of a table for one quantity."""
    return [row for row in table if row.quantity == quantity]
