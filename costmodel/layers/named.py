"""The functions of torch that are elementwise, by name: a table of what is, not of what is not.

Each element of such a function's output needs only the elements of its inputs in the same place,
so that it may overwrite an input of its own size. What is not here (a roll, a sort, a softmax, a
sum over neighbours, a function of a user's own) gets memory of its own.
"""

from __future__ import annotations

_NAMES = """
abs absolute acos acosh add addcdiv addcmul alpha_dropout and asin asinh atan atan2 atanh batch_norm
bernoulli bfloat16 bitwise_and bitwise_not bitwise_or bitwise_xor bool ceil celu clamp clamp_max
clamp_min clip clone copy copysign cos cosh cpu cuda div divide double dropout dropout1d dropout2d
dropout3d elu eq erf erfc erfinv exp exp2 expm1 feature_alpha_dropout feature_dropout fill float
floor floor_divide floordiv fmax fmin fmod frac ge gelu greater greater_equal gt half hardshrink
hardsigmoid hardswish hardtanh hsigmoid hswish hypot identity int invert isfinite isinf isnan le
leaky_relu lerp less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or
logical_xor logit logsigmoid long lshift lt masked_fill maximum minimum mish mod mul multiply
nan_to_num ne neg negative normal not_equal or positive pow prelu random rdiv reciprocal relu relu6
remainder round rpow rrelu rshift rsqrt rsub rtruediv selu sgn sigmoid sign silu sin sinc sinh
softplus softshrink softsign sqrt square sub subtract swish tan tanh tanhshrink threshold to tril
triu true_divide truediv trunc type type_as uniform where xlogy xor zero
"""

ELEMENTWISE = frozenset(_NAMES.split())


def plain(function: str) -> str:
    """A function's name without what says that it is in place or an operator of Python's.

    >>> [plain(name) for name in ("relu_", "__iadd__", "__radd__", "__rsub__", "pixel_shuffle")]
    ['relu', 'add', 'add', 'rsub', 'pixel_shuffle']
    """
    name = function.strip("_")
    if function.startswith("__") and name not in ELEMENTWISE and name[1:] in ELEMENTWISE:
        return name[1:]  # `__iadd__` and `__radd__` are add
    return name


def is_elementwise(function: str) -> bool:
    """Whether the function, in place or not, is in the table.

    >>> is_elementwise("__imul__"), is_elementwise("roll")
    (True, False)
    """
    return function in ELEMENTWISE or plain(function) in ELEMENTWISE
