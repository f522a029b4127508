/* Activations as polynomials on vectors. A NaN stays NaN; infinities and denormals go through as through libm. */
#ifndef DAENR_ACTIVATIONS_H
#define DAENR_ACTIVATIONS_H

#include "vectors.h"

typedef enum { NONE, ELU, TANH, SOFTPLUS, EXP } activation;

/* x as n·ln 2 + r with an integer n and |r| <= ln 2 / 2, for |x| < 2^21: returns r, and 2^n through `power`. */
ALWAYS vec reduce(vec x, vec *power)
{
    const float to_integer = 12582912.0f; /* 1.5 · 2^23: in a sum with it, the last bit of the mantissa counts ones */
    vec shifted = x * 1.44269504f + to_integer;
    vec n = shifted - to_integer;
    *power = (vec)(((ubits)shifted << 23) + 0x3f800000);
    return (x - n * 0.693359375f) - n * -2.12194440e-4f; /* Cody and Waite's ln 2 in two parts */
}

/* exp(r) - 1 for |r| <= ln 2 / 2: r + r² · q(r), with the minimax polynomial of the Cephes library. */
ALWAYS vec small_expm1(vec r)
{
    vec q = r * 1.9875691500e-4f + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    return q * (r * r) + r;
}

/* exp(x) for x <= 0. */
ALWAYS vec exp_of_negative(vec x)
{
    vec power, r = reduce(at_least(x, -87.0f), &power);
    return small_expm1(r) * power + power;
}

/* exp(x) - 1 for x <= 0: 2^n · (exp(r) - 1) + (2^n - 1), which keeps its digits near 0. */
ALWAYS vec expm1_of_negative(vec x)
{
    vec power, r = reduce(at_least(x, -87.0f), &power);
    return small_expm1(r) * power + (power - 1.0f);
}

ALWAYS vec elu(vec x) { return choose(x < 0.0f, expm1_of_negative(x), x); }

/* log(1 + y) for 0 <= y <= 1, as 2·atanh(s) with s = y / (2 + y) <= 1/3: the odd series of s, nested. */
ALWAYS vec log1p_of_fraction(vec y)
{
    vec s = y / (y + 2.0f), t = s * s;
    vec p = t * (2.0f / 15) + 2.0f / 13;
    p = p * t + 2.0f / 11;
    p = p * t + 2.0f / 9;
    p = p * t + 2.0f / 7;
    p = p * t + 2.0f / 5;
    p = p * t + 2.0f / 3;
    return p * t * s + 2.0f * s;
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
ALWAYS vec softplus(vec x)
{
    vec magnitude = (vec)((bits)x & 0x7fffffff);
    vec rest = log1p_of_fraction(exp_of_negative(-magnitude));
    return choose(x < 0.0f, splat(0.0f), x) + rest;
}

/* tanh(x) = e / (e + 2) with e = exp(2x) - 1, on the side where x <= 0. */
ALWAYS vec tanh_of(vec x)
{
    bits sign = (bits)x & (bits)splat(-0.0f);
    vec e = expm1_of_negative(-2.0f * (vec)((bits)x & 0x7fffffff));
    return (vec)((bits)(-e / (e + 2.0f)) | sign);
}

/* exp(x) = exp(x/2)², so that 2^n is a float wherever the result is. */
ALWAYS vec exp_of(vec x)
{
    vec power, r = reduce(at_most(at_least(x * 0.5f, -87.0f), 87.0f), &power);
    vec root = small_expm1(r) * power + power;
    return root * root;
}

ALWAYS vec activate(activation kind, vec x)
{
    switch (kind) {
    case ELU: return elu(x);
    case TANH: return tanh_of(x);
    case SOFTPLUS: return softplus(x);
    case EXP: return exp_of(x);
    default: return x;
    }
}

#endif
