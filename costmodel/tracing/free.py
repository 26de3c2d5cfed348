"""The functions of torch without multiply–accumulates whose shapes say all there is to say.

What is free is decided here. An outer product is (`outer`, `ger`, `kron`; an einsum that sums over
nothing is lowered so too): each product stands alone, and nothing accumulates. Resampling is, at
any positions (`grid_sample` as `interpolate`): its weights are no operand. What decomposes or
solves is not, nor what no rule knows: its cost is unknown, and no total hides it.
"""

from __future__ import annotations

_NAMES = """
_weight_norm abs absolute acos add add_ addcdiv addcmul addr affine_grid alias allclose
alpha_dropout aminmax
argsort as_strided asin atan atan2 atleast_1d atleast_2d atleast_3d batch_norm_ bernoulli
bernoulli_ bfloat16 bincount bitwise_and bitwise_not bitwise_or bitwise_xor block_diag bool
broadcast_tensors bucketize cartesian_prod cdist_ ceil celu clamp clamp_ clamp_max clamp_min clip
clone col2im complex constant_pad_nd contiguous copy_ cos cosh cosine_similarity count_nonzero cpu
cross cuda cummax cummin cumprod cumsum data detach detach_ diag diag_embed diagonal dist div div_
divide double dropout dropout1d dropout2d dropout3d dropout_ dsplit dstack elu elu_ embedding_bag
empty_like eq equal erf erfc erfinv exp exp_ expm1 feature_alpha_dropout feature_dropout fill_
flip fliplr flipud float floor floor_divide fmax fmin fmod fold frac fractional_max_pool2d
fractional_max_pool3d full_like gather ge gelu ger glu grid_sample gt gumbel_softmax half
hardshrink hardsigmoid hardswish hardtanh hardtanh_ histc hsplit hstack hypot im2col imag
index_add index_add_ index_copy index_copy_ index_put index_put_ index_select int isfinite isin
isinf isnan kron kthvalue le leaky_relu leaky_relu_ lerp lift linalg_matrix_norm linalg_norm
linalg_vector_norm
local_response_norm log log10 log1p log2 log_softmax logaddexp logical_and logical_not logical_or
logical_xor logit logsigmoid long lp_pool2d lt masked_fill masked_fill_ masked_scatter
masked_select max_unpool1d max_unpool2d max_unpool3d maximum meshgrid minimum mish mode mul mul_
multiply nan_to_num ne neg norm normal_ normalize one_hot ones_like outer pairwise_distance polar
positive pow pow_ quantile rand_like randn_like random_ ravel real reciprocal relu relu6 relu_
remainder repeat_interleave requires_grad_ resize_ roll rot90 round rrelu rsqrt rsub scatter
scatter_ scatter_add scatter_add_ searchsorted selu set_ sigmoid sigmoid_ sign silu silu_ sin sinh
softmax softmax_ softmin softplus softshrink softsign sort sqrt square squeeze_ std_mean sub sub_
subtract swapaxes_ swish take take_along_dim tan tanh tanh_ tanhshrink threshold to topk tril triu
true_divide trunc type type_as unfold uniform_ unique_consecutive unsqueeze_ var_mean
view_as_complex view_as_real vsplit vstack where xlogy zero_ zeros_like
__add__ __and__ __div__ __eq__ __floordiv__ __ge__ __gt__ __iadd__ __iand__ __idiv__ __imul__
__invert__ __ior__ __ipow__ __isub__ __itruediv__ __le__ __lshift__ __lt__ __mod__ __mul__ __ne__
__neg__ __or__ __pow__ __radd__ __rand__ __rdiv__ __rfloordiv__ __rmod__ __rmul__ __ror__ __rpow__
__rshift__ __rsub__ __rtruediv__ __sub__ __truediv__ __xor__
"""

#: By name; those that merge, split or reduce axes have handlers of their own.
FREE = frozenset(_NAMES.split())
#: Which orders of a norm of a matrix are of its singular values, and so unknown.
SINGULAR = {
    "norm": ("nuc",),
    **dict.fromkeys(("linalg_norm", "linalg_matrix_norm"), ("nuc", 2, -2)),
}
