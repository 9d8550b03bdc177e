"""A small pool of runs that the tests of the design share."""

import numpy as np

TARGET = (7e10, 1.5e13)
FINAL = 6 * TARGET[0] * TARGET[1]


def pool(sizes=7, ratios=8):
    """Params, tokens and cost (FLOPs) of a grid, 1B to 7B by 20 to 500 tokens per parameter."""
    params = np.repeat(np.geomspace(1e9, 7e9, sizes), ratios)
    tokens = np.minimum(params * np.tile(np.geomspace(20, 500, ratios), sizes), 1e12)
    return params, tokens, 6 * params * tokens
