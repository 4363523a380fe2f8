import pytest
import torch
from my_encoder import MyEncoderConfig, halves_loss

from selectrl.testing import check_encoder


def test_keeps_the_protocol():
    check_encoder(MyEncoderConfig(latent_dim=4, hidden=(8, 8)))


def test_golden():
    # Unit vectors, so cosines are 1, .6 / 0, .8; over T = .5 they are 2, 1.2 / 0, 1.6. Rows: ln(1 + e^-.8) = .371101,
    # ln(1 + e^-1.6) = .183901; columns: ln(1 + e^-2) = .126928, ln(1 + e^-.4) = .513015. Mean of the four.
    first, second = torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert halves_loss(first, second, torch.tensor([3, 5]), 0.5).item() == pytest.approx(0.298736, rel=1e-5)


def test_a_task_drawn_twice_is_no_negative_of_itself():
    first, second = torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert halves_loss(first, second, torch.tensor([3, 3]), 0.5).item() == pytest.approx(0.0, abs=1e-6)
