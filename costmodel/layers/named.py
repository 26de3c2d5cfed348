"""The functions of torch that are elementwise, a row each: a table of what is, not of what is not.

Each element of such a function's output needs only the elements of its inputs in the same place,
so that it may overwrite an input of its own size. What is not here (a roll, a sort, a softmax, a
sum over neighbours, a function of a user's own) gets memory of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from costmodel.core.nest import INPUTS, NOTHING, OUTPUT, PRODUCT, Keeps


class Function(NamedTuple):
    """What an elementwise function keeps for its backward pass, and torch's module of it.

    `keeps` where it has one input, `with_learned` where a learned tensor is the other, `of_more`
    where there are several; None where nobody has said. One whose derivative is a function of the
    output keeps that, others their input.
    """

    keeps: Keeps | None = None
    with_learned: Keeps | None = None
    of_more: Keeps | None = None
    module: str = ""


_SUM = Function(NOTHING, NOTHING, NOTHING)
_QUOTIENT = Function(of_more=INPUTS)

#: Those of which more is known than the name.
_KNOWN = {
    "relu": Function(OUTPUT, module="ReLU"),
    "sigmoid": Function(OUTPUT, module="Sigmoid"),
    "tanh": Function(OUTPUT, module="Tanh"),
    "relu6": Function(INPUTS, module="ReLU6"),
    "leaky_relu": Function(INPUTS, module="LeakyReLU"),
    "elu": Function(INPUTS, module="ELU"),
    "gelu": Function(INPUTS, module="GELU"),
    "silu": Function(INPUTS, module="SiLU"),
    "swish": Function(INPUTS, module="SiLU"),
    "mish": Function(INPUTS, module="Mish"),
    "hsigmoid": Function(INPUTS, module="Hardsigmoid"),
    "hardsigmoid": Function(INPUTS, module="Hardsigmoid"),
    "hswish": Function(INPUTS, module="Hardswish"),
    "hardswish": Function(INPUTS, module="Hardswish"),
    **dict.fromkeys(("exp", "sqrt", "rsqrt"), Function(OUTPUT)),
    **dict.fromkeys(("hardtanh", "clamp", "softplus", "celu", "pow", "square"), Function(INPUTS)),
    **dict.fromkeys(("abs", "log", "sin", "cos"), Function(INPUTS)),
    **dict.fromkeys(("rsub", "neg"), Function(NOTHING)),
    **dict.fromkeys(("add", "sub"), _SUM),
    "subtract": Function(of_more=NOTHING),
    "mul": Function(NOTHING, INPUTS, PRODUCT),
    "multiply": Function(of_more=PRODUCT),
    **dict.fromkeys(("div", "truediv"), Function(NOTHING, INPUTS, INPUTS)),
    **dict.fromkeys(("divide", "true_divide", "maximum", "minimum"), _QUOTIENT),
    "prelu": Function(with_learned=INPUTS),
    "identity": Function(NOTHING, module="Identity"),
    "dropout": Function(module="Dropout"),
}
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
ELEMENTWISE = _KNOWN | {name: Function() for name in _NAMES.split() if name not in _KNOWN}


def plain(function: str) -> str:
    """A function's name without what says that it is in place or an operator of Python's.

    >>> [plain(name) for name in ("relu_", "__iadd__", "__radd__", "__rsub__", "pixel_shuffle")]
    ['relu', 'add', 'add', 'rsub', 'pixel_shuffle']
    """
    name = function.strip("_")
    if function.startswith("__") and name not in ELEMENTWISE and name[1:] in ELEMENTWISE:
        return name[1:]  # `__iadd__` and `__radd__` are add
    return name


def elementwise(function: str) -> Function | None:
    """The function's row, in place or not; None where it is not in the table.

    >>> elementwise("__imul__").of_more == PRODUCT, elementwise("roll")
    (True, None)
    """
    return ELEMENTWISE.get(function) or ELEMENTWISE.get(plain(function))


def is_elementwise(function: str) -> bool:
    """Whether the function, in place or not, is in the table.

    >>> is_elementwise("__imul__"), is_elementwise("roll")
    (True, False)
    """
    return elementwise(function) is not None
