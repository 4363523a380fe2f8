"""CORRO's contrastive loss."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape


def info_nce(
    query: Float[Tensor, "task query latent"],
    key: Float[Tensor, "task query latent"],
    negatives: Float[Tensor, "task query negative latent"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    r"""Return InfoNCE, the (K+1)-way cross-entropy of a query's key against its own negatives, on inner products.

    .. math:: -\operatorname{mean}_{t,q}\log\frac{\exp(z_q\cdot z_k/\tau)}
       {\exp(z_q\cdot z_k/\tau) + \sum_{n=1}^K\exp(z_q\cdot z_n/\tau)}

    Args:
        query: embeddings of the queries.
        key: an embedding of each query's own task.
        negatives: K embeddings from which the query must differ.
        temperature: τ.

    Returns:
        Scalar, mean over queries, in nats: ln(1 + K) when all candidates are equal, near 0 when the key is far from all
        negatives. The gradient flows through queries, keys and negatives.

    Raises:
        ValueError: query and key differ in shape, or the negatives do not have an axis for each query.

    Differs from SimCLR's loss, as CORRO's does: it is not symmetric, and other queries of the batch are not negatives.

    References:
        van den Oord, Li & Vinyals, "CPC", 2018; Yuan & Lu, "CORRO", ICML 2022.
    """
    require_rank(3, query=query, key=key)
    require_rank(4, negatives=negatives)
    require_same_shape(query=query, key=key, negatives=negatives[:, :, 0])
    candidates = torch.cat((key[:, :, None], negatives), dim=2)  # (task, query, 1 + K, latent)
    logits = (query[:, :, None] * candidates).sum(-1) / temperature
    return -logits.log_softmax(-1)[..., 0].mean()
