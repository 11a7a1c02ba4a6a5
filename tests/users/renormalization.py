"""Renormalizations of one's own: a map, decimation of the Ising chain by hand; and a flow."""

import numpy as np

import rgkit as rg


class DecimationByThree(rg.RGMap):
    names = ("K",)
    scale_factor = 3

    def image(self, theta):
        return np.arctanh(np.tanh(theta) ** 3)


class Relaxation(rg.RGFlow):
    names = ("x",)

    def derive(self):
        (x,) = self.couplings
        return {"x": -x}
