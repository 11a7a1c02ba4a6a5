from . import charts, sweeps
from .bond_moving import migdal_kadanoff
from .chain_decimation import ising_decimation, transfer_matrix_decimation
from .comparison import correspondence
from .expfam import Estimate, characteristic_parameters
from .ising import IsingChain
from .kernels import Kernel, TableMap, decimation, majority, random_map
from .laws import SpinLaw, pushforward, walsh_hadamard
from .networks import FCNetwork, SpinChannel
from .objectives import Classification, Infomax, Objective, Reconstruction, Regression
from .partition import critical_ratio, energy_levels, greedy_map, water_filling_divergence
from .renormalization import FixedPoint, Renormalization
from .training import TrainingDiverged, TrainingResult, train

__all__ = [
    "Classification",
    "Estimate",
    "FCNetwork",
    "FixedPoint",
    "Infomax",
    "IsingChain",
    "Kernel",
    "Objective",
    "Reconstruction",
    "Regression",
    "Renormalization",
    "SpinChannel",
    "SpinLaw",
    "TableMap",
    "TrainingDiverged",
    "TrainingResult",
    "characteristic_parameters",
    "charts",
    "correspondence",
    "critical_ratio",
    "decimation",
    "energy_levels",
    "greedy_map",
    "ising_decimation",
    "majority",
    "migdal_kadanoff",
    "pushforward",
    "random_map",
    "sweeps",
    "train",
    "transfer_matrix_decimation",
    "walsh_hadamard",
    "water_filling_divergence",
]
