"""Renormalizations of one's own: decimation written by hand as a map, and a flow of one coupling."""

import numpy as np

import rgkit as rg


class DecimationByThree(rg.RGMap):
    """Keep every third spin of an Ising chain without field."""

    names = ("K",)
    scale_factor = 3

    def image(self, theta):
        return np.arctanh(np.tanh(theta) ** 3)


class Relaxation(rg.RGFlow):
    """A coupling that shrinks as lengths grow."""

    names = ("x",)

    def derive(self):
        (x,) = self.couplings
        return {"x": -x}
