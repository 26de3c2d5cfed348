"""The functions of torch without multiply–accumulates whose shapes say all there is to say.

What is free is decided here. An outer product is (`outer`, `ger`, `kron`; an einsum that sums over
nothing is lowered so too): each product stands alone, and nothing accumulates. Resampling is, at
any positions (`grid_sample` as `interpolate`): its weights are no operand. What decomposes or
solves is not, nor what no rule knows: its cost is unknown, and no total hides it.
"""

from __future__ import annotations

from costmodel.layers.named import is_elementwise

_NAMES = """
_weight_norm addr affine_grid alias allclose aminmax argsort as_strided atleast_1d atleast_2d
atleast_3d bincount block_diag broadcast_tensors bucketize cartesian_prod cdist_ col2im complex
constant_pad_nd contiguous cosine_similarity count_nonzero cross cummax cummin cumprod cumsum data
detach detach_ diag diag_embed diagonal dist dsplit dstack embedding_bag empty_like equal flip
fliplr flipud fold fractional_max_pool2d fractional_max_pool3d full_like gather ger glu
grid_sample gumbel_softmax histc hsplit hstack im2col imag index_add index_add_ index_copy
index_copy_ index_put index_put_ index_select isin kron kthvalue lift linalg_matrix_norm
linalg_norm linalg_vector_norm local_response_norm log_softmax lp_pool2d masked_scatter
masked_select max_unpool1d max_unpool2d max_unpool3d meshgrid mode norm normalize one_hot
ones_like outer pairwise_distance polar quantile rand_like randn_like ravel real repeat_interleave
requires_grad_ resize_ roll rot90 scatter scatter_ scatter_add scatter_add_ searchsorted set_
softmax softmax_ softmin sort squeeze_ std_mean swapaxes_ take take_along_dim topk unfold
unique_consecutive unsqueeze_ var_mean view_as_complex view_as_real vsplit vstack zeros_like
"""

#: By name, beside those that are elementwise (`costmodel.layers.named`); what merges, splits or
#: reduces axes has a handler of its own.
FREE = frozenset(_NAMES.split())
#: Which orders of a norm of a matrix are of its singular values, and so unknown.
SINGULAR = {
    "norm": ("nuc",),
    **dict.fromkeys(("linalg_norm", "linalg_matrix_norm"), ("nuc", 2, -2)),
}


def is_free(function: str) -> bool:
    """Whether a function, in place or not, is one of them.

    >>> is_free("__iadd__"), is_free("roll"), is_free("fft")
    (True, True, False)
    """
    return function in FREE or is_elementwise(function)
