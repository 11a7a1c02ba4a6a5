from . import charts, sweeps
from .bond_moving import migdal_kadanoff
from .chain_decimation import ising_decimation, transfer_matrix_decimation
from .comparison import correspondence
from .empirical import EmpiricalSystem
from .ensemble import EnsembleResult, train_ensemble
from .expfam import Estimate, characteristic_parameters
from .field_laws import FieldLaw, Measurement
from .fields import ScalarChain
from .hierarchy import hierarchical
from .information import InformationBounds, information_bounds
from .ising import IsingChain
from .kernels import Kernel, TableMap, block_average, decimation, majority, random_map
from .laws import SpinLaw, pushforward, walsh_hadamard
from .layout import devices
from .local_potential import lpa
from .momentum_shell import one_loop
from .networks import FCNetwork, GaussianChannel, SpinChannel
from .objectives import Classification, Infomax, Objective, Reconstruction, Regression
from .partition import critical_ratio, energy_levels, greedy_map, water_filling_divergence
from .renormalization import FixedPoint, Renormalization
from .training import TrainingDiverged, TrainingResult, train

__all__ = [
    "Classification",
    "EmpiricalSystem",
    "EnsembleResult",
    "Estimate",
    "FCNetwork",
    "FieldLaw",
    "FixedPoint",
    "GaussianChannel",
    "Infomax",
    "InformationBounds",
    "IsingChain",
    "Kernel",
    "Measurement",
    "Objective",
    "Reconstruction",
    "Regression",
    "Renormalization",
    "ScalarChain",
    "SpinChannel",
    "SpinLaw",
    "TableMap",
    "TrainingDiverged",
    "TrainingResult",
    "block_average",
    "characteristic_parameters",
    "charts",
    "correspondence",
    "critical_ratio",
    "decimation",
    "devices",
    "energy_levels",
    "greedy_map",
    "hierarchical",
    "information_bounds",
    "ising_decimation",
    "lpa",
    "majority",
    "migdal_kadanoff",
    "one_loop",
    "pushforward",
    "random_map",
    "sweeps",
    "train",
    "train_ensemble",
    "transfer_matrix_decimation",
    "walsh_hadamard",
    "water_filling_divergence",
]
