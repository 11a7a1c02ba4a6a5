"""The convex hull of the statistics of a family: its faces, and how far from each a point lies."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import ConvexHull

TOUCHES = 1e-9
INDEPENDENT = 1e-6


@dataclasses.dataclass(frozen=True)
class Hull:
    r"""Points x of slacks :math:`s_f(x) = b_f - n_f \cdot x \ge 0` for the facets f of a polytope.

    The slack of a point is its distance from a facet, and exactly 0 on it. So means of slacks under
    a law are sums of non-negative numbers, and keep all digits however near a face they are, where
    means of the coordinates would lose them.

    Arguments:
        normals: outward unit normals :math:`n_f`, ``(f, k)``.
        offsets: :math:`b_f`, ``(f,)``.
    """

    normals: Float[np.ndarray, "f k"]
    offsets: Float[np.ndarray, " f"]

    @classmethod
    def of(cls, points: Float[np.ndarray, "u k"]) -> "Hull":
        """The hull of points of a unit cube that do not all lie in one plane."""
        if points.shape[1] == 1:
            return cls(np.array([[1.0], [-1.0]]), np.array([points.max(), -points.min()]))
        # qhull cuts facets into simplices, and gives the equation of a facet for each
        equations = ConvexHull(points).equations
        _, first = np.unique(equations.round(9), axis=0, return_index=True)
        normals = equations[first, :-1]
        return cls(np.where(abs(normals) < TOUCHES, 0.0, normals), -equations[first, -1])

    def slacks(
        self, points: Float[np.ndarray, "v k"], facets: Int[np.ndarray, " j"]
    ) -> Float[np.ndarray, "v j"]:
        """Distances of points from some of the facets, negative outside the hull."""
        slacks = self.offsets[facets] - points @ self.normals[facets].T
        return np.where(abs(slacks) < TOUCHES, 0.0, slacks)

    def widths(self, points: Float[np.ndarray, "v k"]) -> Float[np.ndarray, " f"]:
        """The largest slack that one of the points has, for each facet."""
        return self.offsets - np.array([(points @ normal).min() for normal in self.normals])

    def independent(self, order: Int[np.ndarray, " f"]) -> Int[np.ndarray, " k"]:
        """The first k facets in an order whose normals are linearly independent."""
        chosen, directions = [], np.zeros((0, self.normals.shape[1]))
        for facet in order:
            rest = self.normals[facet] - directions.T @ (directions @ self.normals[facet])
            if np.linalg.norm(rest) > INDEPENDENT:
                chosen.append(facet)
                directions = np.vstack([directions, rest / np.linalg.norm(rest)])
        return np.array(chosen)


def tangent(normals: Float[np.ndarray, "f k"]) -> Float[np.ndarray, "k j"]:
    """Orthonormal directions, in columns, at right angles to all of some normals."""
    _, sizes, rows = np.linalg.svd(normals)
    return rows[int((sizes > INDEPENDENT).sum()) :].T


def simplest(directions: Float[np.ndarray, "k j"]) -> Float[np.ndarray, "j k"]:
    """A basis in rows of the space of some columns, in the reduced echelon form."""
    rows, lead = directions.T.copy(), 0
    for column in range(rows.shape[1]):
        if lead == len(rows):
            break
        pivot = lead + int(np.argmax(abs(rows[lead:, column])))
        if abs(rows[pivot, column]) < TOUCHES:
            continue
        rows[[lead, pivot]] = rows[[pivot, lead]]
        rows[lead] /= rows[lead, column]
        others = np.arange(len(rows)) != lead
        rows[others] -= np.outer(rows[others, column], rows[lead])
        lead += 1
    return np.where(abs(rows) < TOUCHES, 0.0, rows)
