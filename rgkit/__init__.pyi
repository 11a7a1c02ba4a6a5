from .comparison import correspondence
from .kernels.base import Kernel, SpinKernel
from .kernels.best_map import (
    critical_ratio,
    energy_levels,
    greedy_map,
    water_filling_divergence,
)
from .kernels.blocks import FieldRule, block_average, decimation, majority
from .kernels.channels import (
    AbstractNoiseChannel,
    AbstractSpinChannel,
    Channel,
    GaussianChannel,
    SpinChannel,
)
from .kernels.fully_connected import FCNetwork
from .kernels.maps import TableMap, random_map
from .kernels.network import Network
from .kernels.table_network import TableNetwork
from .laws.base import Law, Measurement
from .laws.channel_information import InformationBounds, information_bounds
from .laws.fields import FieldLaw
from .laws.fisher_rao import fisher_rao_distance, kernel_distance
from .laws.pushforward import pushforward
from .laws.spins import SpinLaw
from .laws.walsh_hadamard import walsh_hadamard
from .parameters.characteristic import Estimate, characteristic_parameters
from .presentation import charts, sweeps
from .renormalizations.base import FixedPoint, Renormalization
from .renormalizations.decimation import ising_decimation
from .renormalizations.flows import RGFlow
from .renormalizations.hierarchical import hierarchical
from .renormalizations.local_potential import lpa
from .renormalizations.maps import RGMap
from .renormalizations.migdal_kadanoff import migdal_kadanoff
from .renormalizations.momentum_shell import one_loop
from .renormalizations.tensor import TensorFlow, hotrg, ising_tensor
from .renormalizations.transfer_matrices import transfer_matrix_decimation
from .systems.base import Enumerable, Family, System, Values
from .systems.enumerated import EnumeratedFamily, EnumeratedSystem
from .systems.hierarchical import HierarchicalTree
from .systems.ising import IsingChain
from .systems.pair_law import PairLaw, Spectrum
from .systems.recorded import EmpiricalSystem
from .systems.scalar import ScalarChain
from .systems.torus import IsingTorus
from .training.ensemble.ensemble import EnsembleResult, train_ensemble
from .training.ensemble.layout import devices
from .training.finish import Finish
from .training.layers import LayersResult, train_layers
from .training.leaky_infomax import LeakyInfomax
from .training.natural_flow import natural_flow
from .training.objectives import Classification, Infomax, Objective, Reconstruction, Regression
from .training.partners import Blocks, Partners, Siblings, Squares
from .training.polish import Polish
from .training.relevance import (
    BitRelevance,
    ContrastiveRelevance,
    PartnerObjective,
    Relevance,
)
from .training.single import TrainingDiverged, TrainingResult, train

__all__ = [
    "HierarchicalTree",
    "PairLaw",
    "Spectrum",
    "LayersResult",
    "train_layers",
    "Finish",
    "TableNetwork",
    "fisher_rao_distance",
    "kernel_distance",
    "natural_flow",
    "LeakyInfomax",
    "Polish",
    "Blocks",
    "Partners",
    "Siblings",
    "Squares",
    "IsingTorus",
    "TensorFlow",
    "hotrg",
    "ising_tensor",
    "BitRelevance",
    "ContrastiveRelevance",
    "PartnerObjective",
    "Relevance",
    "Network",
    "FieldRule",
    "Law",
    "SpinKernel",
    "Channel",
    "AbstractSpinChannel",
    "AbstractNoiseChannel",
    "Classification",
    "EmpiricalSystem",
    "EnsembleResult",
    "Enumerable",
    "EnumeratedFamily",
    "EnumeratedSystem",
    "Estimate",
    "FCNetwork",
    "Family",
    "FieldLaw",
    "FixedPoint",
    "GaussianChannel",
    "Infomax",
    "InformationBounds",
    "IsingChain",
    "Kernel",
    "Measurement",
    "Objective",
    "RGFlow",
    "RGMap",
    "Reconstruction",
    "Regression",
    "Renormalization",
    "ScalarChain",
    "SpinChannel",
    "SpinLaw",
    "System",
    "TableMap",
    "TrainingDiverged",
    "TrainingResult",
    "Values",
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
