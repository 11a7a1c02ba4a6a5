"""What a law of features can be asked: its distance from another, with its error."""

from typing import Any, Protocol, runtime_checkable


class Measurement(float):
    """A number, its standard error, and how it was made. It is a float wherever one is needed.

    Arguments:
        value: the number, in nats or as said.
        standard_error: its standard error, in the same unit; 0 where the number is exact.
        method: how it was made; "exact" where it is.
    """

    standard_error: float
    method: str

    def __new__(
        cls, value: float, standard_error: float = 0.0, method: str = "exact"
    ) -> "Measurement":
        """The float, with what is known of it."""
        measurement = super().__new__(cls, value)
        measurement.standard_error, measurement.method = float(standard_error), method
        return measurement

    def __reduce__(self) -> tuple[type, tuple[float, float, str]]:
        return type(self), (float(self), self.standard_error, self.method)

    @property
    def value(self) -> float:
        """The number alone."""
        return float(self)

    def __repr__(self) -> str:
        if not self.standard_error:
            return repr(float(self))
        return f"{float(self):.6g} ± {self.standard_error:.2g} ({self.method})"


@runtime_checkable
class Law(Protocol):
    """The law of n features."""

    @property
    def n_features(self) -> int:
        """The number of features n."""
        ...

    def divergence(self, reference: Any = None) -> Measurement:
        """Kullback-Leibler divergence from a reference in nats.

        By default the reference is the trivial fixed point.
        """
        ...
