import numpy as np

from vmplace.solvers.program import IntegerProgram, terms


def test_variables_take_the_shape_of_their_bounds_and_none_is_made_for_zero():
    program = IntegerProgram()
    program.variable(2, 5)
    index = program.variables(np.array([[3, 0], [-1, 7]]))
    assert index.tolist() == [[1, -1], [-1, 2]]
    assert (program.lower, program.upper) == ([2, 0, 0], [5, 3, 7])


def test_terms_that_say_nothing_are_left_out():
    program = IntegerProgram()
    program.row([(0, 2), (-1, 9), (1, 0), (1, 3)], 1, 4)
    program.row(iter([(0, 1)]), upper=3)
    assert program.rows == [([(0, 2), (1, 3)], 1, 4), ([(0, 1)], None, 3)]


def test_value():
    assert IntegerProgram().value([(0, 2), (2, -1)], (5, 99, 4)) == 6
    assert IntegerProgram().value([], ()) == 0


def test_an_expression_leaves_out_what_is_no_variable_or_counts_nothing():
    index = np.array([[4, -1], [2, 7]])
    assert terms(index) == [(4, 1), (2, 1), (7, 1)]
    assert terms(index, np.array([[3], [5]])) == [(4, 3), (2, 5), (7, 5)]
    assert terms(index[1], np.array([0, -2])) == [(7, -2)]
