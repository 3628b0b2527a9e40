"""The camera that a product photo is thought to be taken with, and how the product is turned."""

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

FOV_DEG = 20.0
"""Across the product's longer side: a product photo is taken from afar."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole at the origin that looks along z; x to the right, y down (OpenCV's axes).

    `focal_px` is also the distance of the product's middle plane, so that there one unit of space
    is one px. The principal point (`centre_x`, `centre_y`) is in px edges: pixel (row i, column j)
    has its centre at (j + 0.5, i + 0.5).

    The product is turned about a point `pivot_px` behind the middle plane. That plane holds the
    outline, which of a round body is the nearer to the camera, the wider it is seen.
    """

    width: int
    height: int
    focal_px: float
    centre_x: float
    centre_y: float
    pivot_px: float = 0.0

    @property
    def distance_px(self) -> float:
        """From the camera to the point that the product turns about."""
        return self.focal_px + self.pivot_px


@dataclass(frozen=True, slots=True)
class Turn:
    """How the product is turned before the camera, degrees, about its own centre.

    A positive `yaw_deg` brings the front to the right, and a positive `pitch_deg` down, which shows
    more of the top.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0

    def angle(self) -> float:
        """A bound of the angle between the camera's old and new view of the product, radians."""
        return radians(min(abs(self.yaw_deg) + abs(self.pitch_deg), 90.0))

    def matrix(self) -> Tensor:
        """The (3, 3) rotation in the camera's axes: first the yaw, then the pitch."""
        return _about_x(self.pitch_deg) @ _about_y(self.yaw_deg)


def _about_y(degrees: float) -> Tensor:
    """The front is at negative z: a positive angle moves it towards positive x."""
    angle = torch.deg2rad(torch.tensor(degrees))
    c, s, zero, one = torch.cos(angle), torch.sin(angle), torch.tensor(0.0), torch.tensor(1.0)
    return torch.stack([c, zero, -s, zero, one, zero, s, zero, c]).view(3, 3)


def _about_x(degrees: float) -> Tensor:
    """A positive angle moves the front, at negative z, towards positive y, down."""
    angle = torch.deg2rad(torch.tensor(degrees))
    c, s, zero, one = torch.cos(angle), torch.sin(angle), torch.tensor(0.0), torch.tensor(1.0)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c]).view(3, 3)
