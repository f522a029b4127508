"""The C of a library.

writer                        the functions of one instruction set, while they are written
packing                       the constants
convolution, winograd, spread, others    a step of the plan each
library                       `write_library`, all files
"""
