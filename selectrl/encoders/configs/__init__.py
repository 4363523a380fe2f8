"""Configs of the encoders and of what they are made of, and their registration; free of torch.

They live apart from the encoders so that listing and dry runs start fast.
"""

import selectrl.encoders.configs.aggregations
import selectrl.encoders.configs.auxiliary
import selectrl.encoders.configs.blind
import selectrl.encoders.configs.borel
import selectrl.encoders.configs.corro
import selectrl.encoders.configs.pearl
import selectrl.encoders.configs.sets  # noqa: F401  each registers its own
