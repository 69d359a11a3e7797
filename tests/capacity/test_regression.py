import numpy as np
import pytest

from vmplace.capacity.regression import Line, student


def test_student_is_that_of_the_tables():
    table = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 11: 2.201, 12: 2.179, 20: 2.086, 30: 2.042, 60: 2.000, 120: 1.980}
    for freedom, quantile in table.items():
        assert student(freedom) == pytest.approx(quantile, abs=0.0006)


def test_a_line_computed_by_hand():
    # Means 2 and 6; (-2, -1, 0, 1, 2) by (4, 2, 1, -2, -5): slope -22 / 10.
    line = Line.through(np.array([0.0, 1, 2, 3, 4]), np.array([10.0, 8, 7, 4, 1]))
    assert (line.middle, line.mean, line.slope, line.points, line.spread) == (2, 6, -2.2, 5, 10)
    # It misses by -0.4, -0.2, 1, 0.2, -0.6: squares 1.6.
    assert line.variance == pytest.approx(1.6 / 3)
    assert line.slope_error == pytest.approx((1.6 / 30) ** 0.5)
    assert line.root == pytest.approx(2 + 6 / 2.2)


def test_a_line_is_that_of_numpy_with_its_covariance():
    chance = np.random.default_rng(1)
    for n in (3, 4, 9, 40):
        x = np.sort(chance.uniform(0, 500, n))
        y = 900 - 1.5 * x + chance.normal(0, 20, n)
        line = Line.through(x, y)
        (slope, start), covariance = np.polyfit(x, y, 1, cov=True)
        assert line.slope == pytest.approx(slope)
        assert line.slope_error == pytest.approx(covariance[0, 0] ** 0.5)
        assert line.root == pytest.approx(-start / slope)
        for end in line.root_interval() or ():
            # There the line is just t standard errors from zero.
            error = np.array([end, 1]) @ covariance @ np.array([end, 1])
            assert (slope * end + start) ** 2 == pytest.approx(student(n - 2) ** 2 * error)


def test_two_points_tell_no_error_and_a_flat_cloud_no_end():
    line = Line.through(np.array([0.0, 10]), np.array([5.0, 3]))
    assert (line.root, line.slope_error, line.root_interval()) == (25, None, None)
    assert Line.through(np.arange(4.0), np.array([5.0, 1, 6, 2])).root_interval() is None


def test_the_interval_holds_what_it_says():
    chance, x, inside, told = np.random.default_rng(7), np.arange(12.0), 0, 0
    for _ in range(2000):
        interval = Line.through(x, 100 - 4 * x + chance.normal(0, 6, 12)).root_interval()
        told += interval is not None
        inside += interval is not None and interval[0] <= 25 <= interval[1]
    assert told > 1900
    assert inside / told == pytest.approx(0.95, abs=0.02)
