"""Recurrent controllers that propose architectures, and the policy gradient that teaches them."""

from nascence.controllers.controller import Beam, Controller, Draw
from nascence.controllers.rewarded import RewardedController

__all__ = [
    "Beam",
    "Controller",
    "Draw",
    "RewardedController",
]
