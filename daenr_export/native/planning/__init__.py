"""What is computed how, and where each value lies.

fusing  fewer operations that compute the same
layers  convolutions in the form of the kernels
spread  a last convolution of few channels
tiles   what stays in registers
plan    `make_plan`
"""
