"""Searching settings of a fit with Optuna: α, β and the regularisers, judged by the validation images alone.

`space` says what is searched and where, `study` fits one trial after the other, `table` writes what came of them.
"""
