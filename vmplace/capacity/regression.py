"""Simple linear regression by least squares, and Fieller's confidence interval [1]_ of the point where the line is zero.

References
----------
.. [1] E. C. Fieller, "Some problems in interval estimation", Journal of the Royal Statistical Society B 16 (1954), 175-185.
"""

import math

import numpy as np
import numpy.typing as npt
from attrs import frozen

__all__ = ["Line", "student"]

Floats = npt.NDArray[np.float64]

_QUANTILE = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_NORMAL = 1.959964


def student(freedom: int) -> float:
    """Student's t for a two-sided 95 %: from a table up to 10 degrees of freedom, above by Cornish and Fisher's expansion."""
    if freedom <= len(_QUANTILE):
        return _QUANTILE[freedom - 1]
    z, n = _NORMAL, freedom
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2) + third


@frozen
class Line:
    """The least-squares line ``mean + slope * (x - middle)``.

    Parameters
    ----------
    middle, mean
        Means of x and of y.
    slope
        y for each x.
    points
        How many there are.
    variance
        Residual variance: the squared residuals, divided by the points less two; None for two points.
    spread
        Sum of the squares of x less their mean.
    """

    middle: float
    mean: float
    slope: float
    points: int
    variance: float | None
    spread: float

    @classmethod
    def through(cls, x: Floats, y: Floats) -> "Line":
        """The line through two points or more, of different x."""
        middle, mean = float(x.mean()), float(y.mean())
        away = x - middle
        spread = float(away @ away)
        slope = float(away @ y) / spread
        misses = y - mean - slope * away
        variance = float(misses @ misses) / (len(x) - 2) if len(x) > 2 else None
        return cls(middle, mean, slope, len(x), variance, spread)

    @property
    def root(self) -> float:
        """Where it is zero; the slope must not be."""
        return self.middle - self.mean / self.slope

    @property
    def slope_error(self) -> float | None:
        """Standard error of the slope; None for two points."""
        return None if self.variance is None else math.sqrt(self.variance / self.spread)

    def root_interval(self) -> tuple[float, float] | None:
        """Where it may be zero, with a confidence of 95 %; None for two points, and where the slope may as well be none.

        Fieller's [1]_: every x at which the line is less than t standard errors of its value from zero,
        ``(mean + slope * d) ** 2 <= t ** 2 * variance * (1 / points + d ** 2 / spread)`` with ``d = x - middle``, and Student's t
        with two degrees of freedom less than there are points.
        """
        if self.variance is None:
            return None
        doubt = student(self.points - 2) ** 2 * self.variance
        a, b, c = self.slope**2 - doubt / self.spread, self.mean * self.slope, self.mean**2 - doubt / self.points
        if a <= 0:
            return None
        half = math.sqrt(max(0.0, b * b - a * c))
        return self.middle + (-b - half) / a, self.middle + (-b + half) / a
